#!/usr/bin/env python
"""Draw boxes or labels into a video: ``tresnet-mm video``."""

from tresnet_mm.commands.video import main

if __name__ == '__main__':
    main()
