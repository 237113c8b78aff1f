#!/usr/bin/env python
"""Choose the threshold of each class: ``tresnet-mm thresholds``."""

from tresnet_mm.commands.thresholds import main

if __name__ == '__main__':
    main()
