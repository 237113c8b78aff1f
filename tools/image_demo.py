#!/usr/bin/env python
"""Draw a detector's boxes on images: ``tresnet-mm image-demo``."""

from tresnet_mm.commands.image_demo import main

if __name__ == '__main__':
    main()
