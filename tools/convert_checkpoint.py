#!/usr/bin/env python
"""Convert a published checkpoint: ``tresnet-mm convert``."""

from tresnet_mm.commands.convert import main

if __name__ == '__main__':
    main()
