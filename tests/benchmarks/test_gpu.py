"""``python -m benchmarks gpu``: what it takes for right and wrong, and all of it on a CPU."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as benchmark
from benchmarks import networks
from benchmarks.gpu import command, comparison, published
from benchmarks.gpu.parts import Absent, Part, all_right, run_parts
from benchmarks.gpu.settings import tiny
from tests.lines import needs_compiler, needs_triton
from tresnet_mm.models.layers import abn_function
from tresnet_mm.models.losses import chunked_binary_loss

ROOT = Path(__file__).resolve().parents[2]
ABN, TRITON = 'ABN against float64', 'ABN against float64, triton'
LOSSES = 'losses against float64'


def only(*names: str, folder=None) -> list[str]:
    options = [word for name in names for word in ('--only', name)]
    return ['gpu', '--tiny', *options, *(['--out-dir', str(folder)] if folder else [])]


def written(folder) -> dict:
    return json.loads((folder / 'gpu.json').read_text())


def test_right_layers_and_losses_end_with_0(tmp_path):
    assert benchmark.main(only(ABN, LOSSES, folder=tmp_path)) == 0
    record = written(tmp_path)
    assert [part['status'] for part in record['parts']] == ['done', 'done']
    for part in record['parts']:
        for row in part['rows']:
            assert 0 <= row['error'] <= row['allowed'] < 0.2
    # Sums of float32 are not those of float64: something was compared.
    assert all(max(row['error'] for row in part['rows']) > 1e-9 for part in record['parts'])


@needs_triton
def test_right_triton_kernels_end_with_0(tmp_path):
    assert benchmark.main(only(TRITON, folder=tmp_path)) == 0
    part, = written(tmp_path)['parts']
    assert part['status'] == 'done' and len(part['rows']) >= 24


@pytest.mark.parametrize('broken', ['scale_of', '_invert', '_activation_backward'])
def test_a_broken_abn_ends_with_1(broken, monkeypatch, tmp_path):
    wrong = dict(scale_of=lambda weight, eps: weight,  # a negative scale stays negative
                 _invert=lambda y, activation, param: y,
                 _activation_backward=lambda grad, y, activation, param: grad)
    monkeypatch.setattr(abn_function, broken, wrong[broken])
    assert benchmark.main(only(ABN, folder=tmp_path)) == 1
    part, = written(tmp_path)['parts']
    assert part['status'] == 'wrong'
    assert 'float32, NCHW, 3x5x7x7, leaky_relu, training' in part['reason']


def test_a_broken_loss_ends_with_1(monkeypatch, tmp_path):
    def last_chunk_lost(pred):
        yield from list(rows(pred))[:-1]

    rows = chunked_binary_loss.row_chunks
    monkeypatch.setattr(chunked_binary_loss, 'row_chunks', last_chunk_lost)
    assert benchmark.main(only(LOSSES, folder=tmp_path)) == 1
    assert written(tmp_path)['parts'][0]['status'] == 'wrong'


def test_a_part_ends_no_other():
    def fails(_):
        raise ValueError('no such thing')

    def needs(_):
        raise Absent('two GPUs are needed')

    parts = [
        Part('failing', fails, 1), Part('absent', needs, 1, correctness=True),
        Part('fine', lambda _: [dict(what='x', right=True)], 1, correctness=True)]
    results = list(run_parts(parts, tiny(None), budget=600))
    assert [part['status'] for part in results] == ['failed', 'absent', 'done']
    assert [part.get('reason') for part in results] == [
        'ValueError: no such thing', 'two GPUs are needed', None]
    assert all_right(results)


ENDLESS = """
from benchmarks.gpu.parts import Part
from tests.benchmarks.test_gpu import tiny

def endless(_):
    while True:
        pass

result = Part('endless', endless, 0).run(tiny(None), left=0.1)
print(result['status'], result['reason'], sep=': ')
"""


def test_what_does_not_end_is_broken_off():
    # in a process of its own, as the call itself: the alarm is the whole process's
    done = subprocess.run([sys.executable, '-c', ENDLESS], cwd=ROOT, capture_output=True,
                          text=True)
    assert 'dropped: not through in the 0 s that were left' in done.stdout, done.stderr


@pytest.mark.parametrize('result, right', [
    ('done', True), ('absent', True), ('wrong', False), ('failed', False), ('dropped', False)])
def test_what_is_not_shown_is_not_right(result, right):
    assert all_right([dict(kind='correctness', status=result)]) is right
    assert all_right([dict(kind='speed', status=result)])


def test_a_budget_that_does_not_reach_drops_by_name(tmp_path):
    assert benchmark.main([*only(ABN, 'norms', folder=tmp_path), '--budget', '0']) == 1
    for part in written(tmp_path)['parts']:
        assert part['status'] == 'dropped' and part['rows'] == []
        assert part['reason'] == '0 s of the budget were left'


def test_nan_is_not_right():
    assert not comparison.compared('x', math.nan, 1)['right']
    assert comparison.compared('x', 0.5, 0.5)['right']
    nan = torch.tensor([math.nan, 1])
    assert math.isnan(comparison.relative_error(nan, torch.ones(2)))
    assert math.isnan(comparison.largest_error(nan, torch.ones(2)))


@pytest.mark.parametrize('limit', [1, 2, 3, 63, 100, 1000])
def test_the_largest_that_fits_is_found(limit):
    tried = []
    found = networks.largest_that(lambda n: tried.append(n) or n <= limit)
    assert found <= limit < found * 33 / 32 + 1
    assert len(tried) <= 18


def test_smaller_batches_follow_where_memory_ends():
    from benchmarks.gpu.backbone_speed import with_smaller_batches
    tried = []

    def measure(batch):
        tried.append(batch)
        if batch > 3:
            raise torch.cuda.OutOfMemoryError('16 GiB are too few')
        return [dict(batch=batch)]

    assert with_smaller_batches(16, tiny(None), measure) == [dict(batch=2)]
    assert tried == [16, 8, 4, 2] and not torch.backends.cudnn.benchmark


def test_figures_stand_beside_targets_and_published_ones():
    rows = [dict(model=model, mode='train', format=form, images_per_s=speed)
            for model, form, speed in (
                ('ResNet-50', 'NCHW', 800.), ('ResNet-50', 'channels_last', 1000.),
                ('TResNet-M', 'NCHW', 720.), ('TResNet-M', 'channels_last', 1100.),
                ('TResNet-M (inplace-abn)', 'channels_last', 500.))]
    rows.append(dict(model='TResNet-M (triton)', mode=None, absent='ImportError: no triton'))
    parts = [dict(name='backbones, training', rows=rows)]
    table = {row.pop('quantity'): row for row in published.figures(parts, with_targets=True)}
    assert table['TResNet-M / ResNet-50, training, NCHW'] == dict(
        measured=0.9, published='timm, RTX 3090: 0.96')
    assert table['TResNet-M / ResNet-50, training, best formats'] == dict(
        measured=1.1, target='>= 1.0', met=True,
        published='paper, V100: 0.91; timm, RTX 3090: 0.65')
    key = 'TResNet-M / TResNet-M (inplace-abn), training, channels_last'
    assert table[key] == dict(measured=2.2, target='>= 3.0', met=False)
    assert not any('triton' in quantity or 'batch' in quantity for quantity in table)
    tiny_row = published.figures(parts, with_targets=False)[0]
    assert set(tiny_row) == {'quantity', 'measured'}


@pytest.mark.parametrize('argv, message', [
    ([], '--tiny runs everything on the CPU'),
    (['--tiny', '--golden', 'nowhere'], '--golden: nowhere is no folder')])
def test_bad_options_are_refused(argv, message, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit):
        command.parse_args(argv)
    assert message in capsys.readouterr().err


def test_an_unknown_part_is_refused():
    with pytest.raises(SystemExit, match="no part is called 'speed'; there are ABN against"):
        benchmark.main(only('speed'))


def test_golden_vectors_are_absent_by_name(tmp_path):
    argv = [*only('golden losses', folder=tmp_path), '--golden', str(tmp_path)]
    assert benchmark.main(argv) == 0
    part, = written(tmp_path)['parts']
    assert part['status'] == 'absent'
    assert part['reason'] == f'no golden vectors: {tmp_path} holds no asl_loss.npz'


@pytest.mark.slow
@needs_compiler
@needs_triton
def test_everything_on_a_cpu(golden_dir, tmp_path):
    """In a process of its own, since it trains, forks and compiles."""
    import subprocess
    import sys
    run = subprocess.run(
        [sys.executable, '-m', 'benchmarks', 'gpu', '--tiny', '--golden', str(golden_dir),
         '--budget', '3000', '--out-dir', str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, (run.stdout + run.stderr)[-4000:]
    record = written(tmp_path)
    parts = {part['name']: part for part in record['parts']}
    assert list(parts) == [part.name for part in command.parts()]
    absent = {name for name, part in parts.items() if part['status'] == 'absent'}
    assert absent == {'largest batch'}  # one of a GPU's memory
    assert {part['status'] for part in parts.values()} == {'done', 'absent'}
    for part in parts.values():
        if part['kind'] == 'correctness':
            assert part['rows'] and all(row['right'] for row in part['rows'])
        for row in part['rows']:
            assert 'GB/s' not in row and 'passes' not in row  # counted for a GPU's kernels
            assert row.get('images_per_s') is None or row['images_per_s'] > 0
    assert {row['format'] for row in parts['backbones, training']['rows'] if 'format' in row} == {
        'NCHW', 'channels_last'}
    assert parts['small training']['rows'][0]['found'] > 55
    assert 'gpu' not in record['environment'] and 'driver_version' not in record['environment']
    assert any(row['quantity'].startswith('FCOS') for row in record['figures'])
    assert '| quantity' in run.stdout
