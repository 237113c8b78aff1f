#!/usr/bin/env python
"""Draw what the data loader gives the model: ``tresnet-mm browse``."""

from tresnet_mm.commands.browse import main

if __name__ == '__main__':
    main()
