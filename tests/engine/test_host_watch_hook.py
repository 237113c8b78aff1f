"""A machine that is not heard of ends the others' processes, and one that has left does not."""

import logging
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from torch.distributed import HashStore

from tresnet_mm.engine import HostWatchHook, host_watch_hook
from tresnet_mm.engine.host_watch_hook import Host, meet


@pytest.mark.parametrize('limit, interval', [(5, 5), (5, 0), (0, -1)])
def test_the_limit_is_over_the_interval(limit, interval):
    with pytest.raises(ValueError, match=f'under limit, got {interval} and {limit} seconds'):
        HostWatchHook(limit, interval)


def test_processes_are_grouped_by_machine(monkeypatch):
    monkeypatch.setattr(host_watch_hook, 'all_gather_object', lambda own: [
        ('machine a (10.0.0.1)', 'p'), ('machine b (10.0.0.2)', 'q'),
        ('machine b (10.0.0.2)', 'r'), ('machine c (10.0.0.3)', 's'),
        ('machine b (10.0.0.2)', 't')])
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    hosts = meet()
    assert [(host.key, host.ranks) for host in hosts] == [
        ('counts_of_p', [0]), ('counts_of_q', [1, 2, 4]), ('counts_of_s', [3])]
    assert [str(host) for host in hosts] == [
        'machine a (10.0.0.1), process 0', 'machine b (10.0.0.2), process 1 to 4',
        'machine c (10.0.0.3), process 3']


@pytest.fixture
def store(monkeypatch):
    """Where process 0 of a run meets the others, without a network; test_two_hosts.py has one."""
    made = HashStore()
    monkeypatch.setenv('MASTER_ADDR', '10.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '29500')
    monkeypatch.setattr(host_watch_hook, 'TCPStore', lambda *args, **kwargs: made)
    return made


@pytest.fixture
def watch(monkeypatch, store, caplog):
    """Watch machines in process 0, with a limit of two seconds; what it says when it ends."""
    over = threading.Event()
    hooks = []

    def exit_(status):
        assert status == 1
        hooks[0]._over.set()
        over.set()

    monkeypatch.setattr(host_watch_hook.os, '_exit', exit_)

    def run(hosts):
        monkeypatch.setattr(host_watch_hook, 'meet', lambda: hosts)
        hooks.append(HostWatchHook(limit=2, interval=1))
        hooks[0].before_run(SimpleNamespace(logger=logging.getLogger('watch'), work_dir='w'))
        assert over.wait(60)
        return caplog.text

    yield run
    hooks[0].leave()
    hooks[0]._counter.join(60)
    assert not hooks[0]._counter.is_alive()


def three():
    return [Host(f'machine {name}', name, [rank]) for rank, name in enumerate('abc')]


def test_one_that_stops_counting_is_named(store, watch):
    store.set('b', 'left')
    store.set('c', '1')
    said = watch(three())
    assert 'not heard of for 2 s: machine c, process 2; down' in said and '--resume' in said


def test_without_the_store_the_first_machine_is_named(store, watch, monkeypatch):
    """As seen by the last one, which finds nobody at the first one's address."""
    asked = []

    def refuse(*args, **kwargs):
        asked.append((args, kwargs['timeout']))
        raise RuntimeError('connection refused')

    monkeypatch.setattr(host_watch_hook, 'TCPStore', refuse)
    assert 'not heard of for 2 s: machine a, process 0; down' in watch(three())
    assert set(asked) == {(('10.0.0.1', 29500), timedelta(seconds=2))}


def test_who_leaves_says_so(store, monkeypatch):
    hosts = three()[:2]
    monkeypatch.setattr(host_watch_hook, 'meet', lambda: hosts)
    store.set('b', '1')
    hook = HostWatchHook(limit=60, interval=5)
    hook.before_run(SimpleNamespace())
    store.wait(['a'])
    hook.after_run(SimpleNamespace())
    assert store.get('a') == b'left'
    assert not hook._counter.is_alive()


def test_one_machine_watches_nobody(monkeypatch):
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    hook = HostWatchHook()
    hook.before_run(SimpleNamespace())
    hook.after_run(SimpleNamespace())
    assert not hook._counter.is_alive() and hook._counter.ident is None
