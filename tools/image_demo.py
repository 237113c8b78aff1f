#!/usr/bin/env python
"""Predict on images, by mmdet's name for it: ``tresnet-mm predict``."""

from tresnet_mm.commands.image_demo import main

if __name__ == '__main__':
    main()
