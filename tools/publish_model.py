#!/usr/bin/env python
"""Publish a trained model: ``tresnet-mm publish``."""

from tresnet_mm.commands.publish import main

if __name__ == '__main__':
    main()
