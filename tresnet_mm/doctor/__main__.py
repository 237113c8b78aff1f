"""``python -m tresnet_mm.doctor``, which is ``tresnet-mm doctor``."""

import argparse
import sys

from .report import JSON_HELP, run

parser = argparse.ArgumentParser(prog='python -m tresnet_mm.doctor',
                                 description='Look over the installation.')
parser.add_argument('--json', action='store_true', help=JSON_HELP)
sys.exit(run(parser.parse_args().json))
