#!/usr/bin/env python
"""Sheets of the worst mistakes of a test run: ``tresnet-mm mistakes``."""

from tresnet_mm.commands.mistakes import main

if __name__ == '__main__':
    main()
