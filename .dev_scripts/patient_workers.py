"""A pytest plugin: workers of pytest-xdist get the time to write down what was measured in them.

After ten seconds they are killed, and what coverage.py keeps until a process ends is lost.
"""
from xdist.workermanage import NodeManager

NodeManager.EXIT_TIMEOUT = 300
