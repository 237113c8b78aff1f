#!/usr/bin/env python
"""Run one of mmdet's own analysis tools: ``tresnet-mm mmdet-tool``."""

from tresnet_mm.commands.mmdet_tool import main

if __name__ == '__main__':
    main()
