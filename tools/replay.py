#!/usr/bin/env python
"""Run again the step at which a training stopped: ``tresnet-mm replay``."""

import sys

from tresnet_mm.commands.replay import main

if __name__ == '__main__':
    sys.exit(main())
