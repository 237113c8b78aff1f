"""A short run of every part; `python -m tests.soak` is the long one."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.soak.growth import COUNTS, MEMORY, slope, summary
from tests.soak.parts import PARTS

LIMITS = dict(main_bytes=100)


def samples(main=lambda step: 1000, files=lambda step: 7, steps=30):
    return [dict(step=step, time=step / 10, main_bytes=main(step), workers_bytes=5,
                 files=files(step), shared=3, children=2) for step in range(1, steps + 1)]


def test_what_stands_still_has_no_fault():
    result = summary('step', LIMITS, samples())
    assert result['faults'] == []
    assert result['growth_bytes_a_step'] == dict(main_bytes=0., workers_bytes=0.)
    assert result['milliseconds_a_step'] == [100.] * 4
    assert (result['steps'], result['most_files']) == (30, [7, 7])


def test_the_warm_up_does_not_count():
    warm = samples(main=lambda step: 1000 * min(step, 10), files=lambda step: min(step, 9))
    assert summary('step', LIMITS, warm)['faults'] == []


@pytest.mark.parametrize(('growing', 'says'), [
    (dict(main=lambda step: 101 * step), 'main_bytes grows by 101 a step; the limit is 100'),
    (dict(files=lambda step: step), 'files grows from 20 to 30'),
    (dict(main=lambda step: np.nan), 'main_bytes grows by nan a step; the limit is 100')])
def test_what_grows_is_named(growing, says):
    assert summary('step', LIMITS, samples(**growing))['faults'] == [says]


def test_slope_is_that_of_a_line_whatever_the_steps():
    steps = np.array([10, 11, 12, 20, 40, 41])
    assert slope(steps, 7 * steps + 3) == pytest.approx(7)


@pytest.mark.slow
def test_every_part_runs(tmp_path, repo_root):
    out = tmp_path / 'soak.json'
    done = subprocess.run([sys.executable, '-m', 'tests.soak', '--scale', '0.003', '--out', out],
                          cwd=repo_root, capture_output=True, text=True)
    assert out.exists(), done.stderr
    kept = json.loads(out.read_text())
    assert list(kept['parts']) == list(PARTS)
    for name, part in kept['parts'].items():
        assert part['steps'] >= 9 and part['samples'] >= 9, (name, done.stderr)
        assert set(part['growth_bytes_a_step']) == set(MEMORY)
        assert all(len(part[f'most_{key}']) == 2 for key in COUNTS)
    assert kept['parts']['iterations']['most_children'][0] >= 4
    assert kept['parts']['calls']['most_children'] == [0, 0]


def test_what_was_kept_is_of_a_whole_run_without_a_fault(repo_root):
    kept = json.loads((repo_root / 'docs/soak.json').read_text())
    assert kept['ok']
    assert {name: part['unit'] for name, part in kept['parts'].items()} == {
        name: part.unit for name, part in PARTS.items()}
    for name, part in kept['parts'].items():
        assert part['steps'] > 0.95 * PARTS[name].steps
