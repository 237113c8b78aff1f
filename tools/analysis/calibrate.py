#!/usr/bin/env python
"""Calibrate a multi-label model's scores: ``tresnet-mm calibrate``."""

from tresnet_mm.commands.calibrate import main

if __name__ == '__main__':
    main()
