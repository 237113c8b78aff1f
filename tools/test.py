#!/usr/bin/env python
"""Evaluate a checkpoint: ``tresnet-mm test``."""

from tresnet_mm.commands.test import main

if __name__ == '__main__':
    main()
