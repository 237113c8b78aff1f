#!/usr/bin/env python
"""Write the synthetic data set: ``tresnet-mm make-shapes``."""

from tresnet_mm.commands.make_shapes import main

if __name__ == '__main__':
    main()
