#!/usr/bin/env python
"""Train a model: ``tresnet-mm train``."""

from tresnet_mm.commands.train import main

if __name__ == '__main__':
    main()
