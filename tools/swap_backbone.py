#!/usr/bin/env python
"""Put a TResNet in the place of a config's ResNet: ``tresnet-mm swap``."""

from tresnet_mm.commands.swap import main

if __name__ == '__main__':
    main()
