#!/usr/bin/env python
"""Hold a config, its data and a checkpoint against each other: ``tresnet-mm check``."""

import sys

from tresnet_mm.commands.check import main

if __name__ == '__main__':
    sys.exit(main())
