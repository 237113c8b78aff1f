"""Runs of ``tresnet-mm train`` that are killed by ``kill -9`` where they are told to be.

`RunServer` starts this file as a program, which imports everything once and forks a process for
each run: a fork has none of the seconds that importing takes, and is killed like any other process.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

#: What the moments at a file are called after.
FILES = {'epoch_': 'checkpoint', 'best_weights.json': 'record', 'best_': 'best weights'}


class RunServer:
    """Trains and kills in forks of one process.

    Args:
        repo_root: The checkout, in which the runs start.
        environment: Variables of the runs.
    """

    def __init__(self, repo_root: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.tools.killed_runs'], cwd=repo_root, text=True,
            env={**os.environ, 'PYTHONPATH': str(repo_root), **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def train(self, *arguments: str, log: Path, moment: tuple[str, int] | None = None,
              delay: float | None = None) -> dict[str, Any]:
        """One run; returns its ``signal`` or ``status``, its ``seconds``, and what it passed.

        Args:
            arguments: The command line behind ``train``.
            log: Where its output goes.
            moment: A key of ``passed``, and the how manieth of them to be killed at.
            delay: Seconds after which to be killed, wherever that is.
        """
        self._process.stdin.write(json.dumps(dict(
            arguments=arguments, log=str(log), moment=moment, delay=delay)) + '\n')
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the server, which has no run then."""
        self._process.kill()
        self._process.communicate()


class Moments:
    """Counts the moments that a run passes, and kills it at one of them."""

    def __init__(self, moment: list | None) -> None:
        self.moment = moment
        self.passed: Counter[str] = Counter()

    def at(self, kind: str) -> None:
        self.passed[kind] += 1
        if self.moment == [kind, self.passed[kind]]:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Put the moments into what a run calls."""
        from mmengine.hooks import CheckpointHook
        from mmengine.model import BaseModel
        from mmengine.optim import OptimWrapper
        from mmengine.runner import ValLoop
        self._around(BaseModel, 'parse_losses', after='between forward and backward')
        self._around(OptimWrapper, 'step', after='between step and average')
        # mmengine's own, after which `SafeCheckpointHook` removes the old one.
        self._around(CheckpointHook, '_save_checkpoint_with_step',
                     after='after name of the checkpoint')
        self._around(ValLoop, 'run_iter', after='validation')
        self._watch_files()

    def _around(self, owner: type, name: str, after: str) -> None:
        original: Callable = getattr(owner, name)

        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self.at(after)
            return result

        setattr(owner, name, watched)

    def _watch_files(self) -> None:
        """Files are written beside their place, by these two (see `tresnet_mm.whole_file`)."""
        write, replace = Path.write_bytes, os.replace

        def write_halves(path: Path, content: bytes) -> int:
            kind = _kind(path)
            if kind:
                with path.open('wb') as file:
                    file.write(content[:len(content) // 2])
                self.at(f'half of {kind}')
            return write(path, content)

        def replace_watched(source: Any, target: Any) -> None:
            replace(source, target)
            if kind := _kind(target):
                self.at(f'after {kind}')

        Path.write_bytes, os.replace = write_halves, replace_watched


def _kind(path: Any) -> str | None:
    name = Path(path).name.removeprefix('.').removesuffix('.part')
    return next((kind for start, kind in FILES.items() if name.startswith(start)), None)


def _run(request: dict, answer: int) -> None:
    """In the fork: train, and tell what was passed."""
    os.setpgid(0, 0)
    log = os.open(request['log'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    from tresnet_mm.commands import train
    moments = Moments(request['moment'])
    moments.watch()
    if request['delay'] is not None:
        timer = threading.Timer(request['delay'], os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    try:
        train.main(request['arguments'])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(answer, json.dumps(moments.passed).encode())


def _fork(request: dict) -> dict[str, Any]:
    start = time.monotonic()
    told, answer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(told)
            _run(request, answer)
            status = 0
        except SystemExit as stopped:
            status = stopped.code if isinstance(stopped.code, int) else 1
        except BaseException:
            import traceback
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)
    os.close(answer)
    _, ended = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        # A killed run's workers, which would see within seconds that they are alone.
        os.killpg(child, signal.SIGKILL)
    with os.fdopen(told, 'rb') as file:
        text = file.read()
    return dict(signal=os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else None,
                status=os.WEXITSTATUS(ended), seconds=time.monotonic() - start,
                passed=json.loads(text) if text else {})


def main() -> None:
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    import mmdet.datasets  # noqa: F401
    import mmdet.evaluation  # noqa: F401
    import mmdet.models  # noqa: F401

    from tresnet_mm.commands import train  # noqa: F401
    for line in sys.stdin:
        answers.write(json.dumps(_fork(json.loads(line))) + '\n')
        answers.flush()


if __name__ == '__main__':
    main()
