#!/usr/bin/env python
"""Show what models say of images, on a page in the browser: ``tresnet-mm web``."""

from tresnet_mm.commands.web import main

if __name__ == '__main__':
    main()
