#!/usr/bin/env python
"""Draw loss, learning rate and mAP of runs: ``tresnet-mm plot``."""

from tresnet_mm.commands.plot import main

if __name__ == '__main__':
    main()
