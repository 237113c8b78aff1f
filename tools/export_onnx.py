#!/usr/bin/env python
"""Export to ONNX and check the file: ``tresnet-mm export``."""

from tresnet_mm.commands.export_onnx import main

if __name__ == '__main__':
    main()
