#!/usr/bin/env python
"""Count the multiply-adds of a model: ``tresnet-mm flops``."""

from tresnet_mm.commands.flops import main

if __name__ == '__main__':
    main()
