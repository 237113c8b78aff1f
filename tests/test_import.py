"""What importing the package costs."""

import subprocess
import sys

CODE = """
import sys
import tresnet_mm
print(*(name for name in sys.modules if name.startswith("mmdet.models")))
"""


def test_importing_the_package_leaves_the_detectors_of_mmdet_out():
    """They take seconds, which who trains a classifier should not wait for."""
    result = subprocess.run([sys.executable, '-c', CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == ''
