#!/usr/bin/env python
"""Draw where the score of a class comes from: ``tresnet-mm class-map``."""

from tresnet_mm.commands.class_map import main

if __name__ == '__main__':
    main()
