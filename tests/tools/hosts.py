"""Two machines, as two network namespaces with a cable between them."""

import contextlib
import os
import signal
import subprocess
import sys

ADDRESSES = ('10.231.7.1', '10.231.7.2')


class Hosts:
    """Two namespaces; neither has any other network than the cable and its own loopback."""

    def __init__(self, repo_root, folder):
        self.repo_root, self.folder = repo_root, folder
        self.names = [f'tresnet{os.getpid()}{letter}' for letter in 'ab']
        self.links = [f'v{name[-8:]}' for name in self.names]
        self.running = []

    def set_up(self):
        for name in self.names:
            self._ip('netns', 'add', name)
        self._ip('link', 'add', self.links[0], 'type', 'veth', 'peer', 'name', self.links[1])
        for name, link, address in zip(self.names, self.links, ADDRESSES, strict=True):
            self._ip('link', 'set', link, 'netns', name)
            self._ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', link)
            self._ip('-n', name, 'link', 'set', link, 'up')
            self._ip('-n', name, 'link', 'set', 'lo', 'up')

    def take_down(self):
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for name in self.names:
            subprocess.run(['ip', 'netns', 'del', name], capture_output=True)

    def run(self, script, *arguments, hidden=None, timeout=240):
        """Run a script of tools/ on both, a process each; their (status, output).

        The second one has an empty disk in the place of the folder ``hidden``.
        """
        self.start(script, *arguments, hidden=hidden)
        return self.ended(timeout)

    def start(self, script, *arguments, hidden=None):
        self.running = []
        for rank, name in enumerate(self.names):
            command = ['bash', str(self.repo_root / f'tools/{script}.sh'), *map(str, arguments)]
            if hidden and rank:
                command = ['unshare', '--mount', 'bash', '-c',
                           'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
            environment = dict(
                os.environ, PYTHONPATH=str(self.repo_root), PYTHON=sys.executable, NNODES='2',
                NODE_RANK=str(rank), MASTER_ADDR=ADDRESSES[0], PORT='29531', OMP_NUM_THREADS='1')
            environment.pop('GLOO_SOCKET_IFNAME', None)
            self.running.append(subprocess.Popen(
                ['ip', 'netns', 'exec', name, *command],
                cwd=self.folder, env=environment, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT))

    def ended(self, timeout):
        """The (status, output) of both, which have to end within some seconds."""
        said = [process.communicate(timeout=timeout)[0] for process in self.running]
        return [(process.returncode, text)
                for process, text in zip(self.running, said, strict=True)]

    def kill(self, host):
        """SIGKILL of all that runs on a host."""
        inside = subprocess.run(['ip', 'netns', 'pids', self.names[host]], check=True, text=True,
                                capture_output=True).stdout
        for process in inside.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)

    def plug(self, connected):
        """Pull the cable out of the second host, which sees that, or plug it in again."""
        self._ip('-n', self.names[1], 'link', 'set', self.links[1], 'up' if connected else 'down')

    def deliver(self, delivered):
        """Lose all packets in both directions, which nobody sees, or lose none any more.

        They are sent to a hardware address that no interface has.
        """
        for name, link, other in zip(self.names, self.links, ADDRESSES[::-1], strict=True):
            if delivered:
                self._ip('-n', name, 'neigh', 'del', other, 'dev', link)
            else:
                self._ip('-n', name, 'neigh', 'replace', other, 'lladdr', '02:00:00:00:00:99',
                         'dev', link, 'nud', 'permanent')

    @staticmethod
    def _ip(*arguments):
        subprocess.run(['ip', *arguments], check=True, capture_output=True, text=True)
