#!/usr/bin/env python
"""Predict on images: ``tresnet-mm predict``."""

from tresnet_mm.commands.predict import main

if __name__ == '__main__':
    main()
