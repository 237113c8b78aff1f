"""Ends a run of several machines in which one is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.distributed import TCPStore

_LEFT = 'left'


@dataclass
class Host:
    """A machine of a run, as one of its processes sees it.

    Attributes:
        name: Its name and its address.
        key: Where it counts in the store.
        ranks: Its processes; the first one counts.
        value: What it has counted to.
        silence: Seconds since it was seen to count, of those in which this process was running.
    """

    name: str
    key: str
    ranks: list[int] = field(default_factory=list)
    value: str = ''
    silence: int = 0

    def __str__(self) -> str:
        first, last = self.ranks[0], self.ranks[-1]
        return f'{self.name}, process {first}' + (f' to {last}' if last > first else '')


@HOOKS.register_module()
class HostWatchHook(Hook):
    """End this process when another machine of the run is not heard of any more.

    A machine that is lost, or cut off by a network that drops what is sent, tells nobody: gloo
    waits for it for 30 minutes, NCCL for 10, and a longer pause is right where one process
    evaluates and the others wait. So the first process of each machine counts, in the store where
    the processes have met, apart from what they compute, and every process sees that all count on.
    Nothing is done where all processes are on one machine.

    Args:
        limit: Seconds. TCP sends again after 0.2 s, and then after twice the time each time: a
            break of up to 25 s is over for it after at most 26, a longer one after 51.
        interval: Seconds from one count to the next.
    """

    priority = 'VERY_HIGH'  # in the end, nobody is watched while hooks of one process still work

    def __init__(self, limit: int = 45, interval: int = 3) -> None:
        if not 0 < interval < limit:
            raise ValueError(f'HostWatchHook: interval should be over 0 and under limit, got '
                             f'{interval} and {limit} seconds')
        self.limit, self.interval = limit, interval
        self._hosts: list[Host] = []
        self._over = threading.Event()
        self._counter = threading.Thread(target=self._count, name='host-count', daemon=True)

    def before_run(self, runner: Runner) -> None:
        """Get to know the machines, and begin."""
        self._hosts = meet()
        if len(self._hosts) < 2:
            return
        self._counter.start()
        threading.Thread(target=self._watch, args=(runner,), name='host-watch', daemon=True).start()

    def after_run(self, runner: Runner) -> None:
        """Leave."""
        self.leave()

    def leave(self) -> None:
        """Watch no more, and tell the others that this machine may be silent from now on."""
        self._over.set()
        if self._counter.is_alive():
            self._counter.join(self.interval)  # not for ever: the link may be lost just now

    def _count(self) -> None:
        """Count, and read what the others have counted; hangs where the link is lost."""
        own = next((host for host in self._hosts if host.ranks[0] == get_rank()), None)
        store = None
        count = 0
        over = False
        while not over:
            over = self._over.wait(self.interval if count else 0)
            count += 1
            with contextlib.suppress(RuntimeError):  # no connection: nobody is heard of
                # A connection of its own: on the group's, other calls would wait for this one.
                store = store or TCPStore(
                    os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), is_master=False,
                    wait_for_workers=False, timeout=timedelta(seconds=self.limit))
                if own is not None:
                    store.set(own.key, _LEFT if over else str(count))
                if not over:
                    self._hear(store.multi_get([host.key for host in self._hosts]))

    def _hear(self, values: list[bytes]) -> None:
        for host, value in zip(self._hosts, values, strict=True):
            if value.decode() != host.value:
                host.value, host.silence = value.decode(), 0

    def _watch(self, runner: Runner) -> None:
        # Counted in wakings, not by the clock: where this process itself was held up, the others
        # were not silent.
        while not self._over.wait(1):
            for host in self._hosts:
                host.silence += 1
            lost = [host for host in self._hosts
                    if host.silence > self.limit and host.value != _LEFT]
            if lost and not self._over.is_set():
                self._end(runner, lost)

    def _end(self, runner: Runner, lost: list[Host]) -> None:
        # The first machine keeps the store, so that without it nobody is heard of.
        who = str(lost[0]) if lost[0] is self._hosts[0] else '; '.join(map(str, lost))
        runner.logger.error(
            f'not heard of for {self.limit} s: {who}; down, or cut off from this machine '
            f'({socket.gethostname()}, process {get_rank()}), which ends here. Go on with the same '
            f'command and --resume on all machines (work dir {runner.work_dir})')
        for handler in runner.logger.handlers:
            handler.flush()
        os._exit(1)  # the main thread waits for the lost one, and no exception reaches it


def meet() -> list[Host]:
    """The machines of a run, the one of process 0 first; every process has to call this."""
    address = ''
    with contextlib.suppress(OSError):
        address = address_towards(os.environ.get('MASTER_ADDR', ''))
    hosts: dict[str, Host] = {}
    own = (f'machine {socket.gethostname()} ({address})', uuid.uuid4().hex)
    for rank, (name, key) in enumerate(all_gather_object(own)):
        hosts.setdefault(name, Host(name, f'counts_of_{key}')).ranks.append(rank)
    return list(hosts.values())


def address_towards(host: str) -> str:
    """The IPv4 address by which this machine sends to a host; nothing is sent.

    Raises:
        OSError: There is no such host, or no way to it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        own: str = probe.getsockname()[0]
    # The machine of rank 0 itself is reached by loopback, and others reach it by its address.
    return socket.gethostbyname(host) if own.startswith('127.') else own
