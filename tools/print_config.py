#!/usr/bin/env python
"""Print a config with its bases merged in: ``tresnet-mm print-config``."""

import sys

from tresnet_mm.commands.print_config import main

if __name__ == '__main__':
    sys.exit(main())
