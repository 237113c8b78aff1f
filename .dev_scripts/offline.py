"""Run a command in a network namespace of its own, where there is nothing but loopback (Linux).

Start it as ``unshare --map-root-user --net python .dev_scripts/offline.py COMMAND ARGUMENT ...``.
"""
from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SET_FLAGS, _UP, _RUNNING = 0x8914, 0x1, 0x40  # of <linux/sockios.h> and <net/if.h>


def main() -> None:
    """See that there is no other interface, bring loopback up, become the command."""
    names = [name for _, name in socket.if_nameindex()]
    if names != ['lo']:
        sys.exit(f'offline: there are other interfaces than lo: {", ".join(names)}; start it by '
                 'unshare --map-root-user --net')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack('16sh14x', b'lo', _UP | _RUNNING))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == '__main__':
    main()
