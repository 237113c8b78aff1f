#!/usr/bin/env python
"""Own data to a data set and a config that trains: ``tresnet-mm prepare-data``."""

from tresnet_mm.commands.prepare_data import main

if __name__ == '__main__':
    main()
