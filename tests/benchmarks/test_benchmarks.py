"""The measuring itself: counts against known sizes, and the command line's subjects."""

import importlib
import json

import pytest
import torch
from torch import nn

from benchmarks import __main__ as benchmark
from benchmarks import layers, networks, plots, record, timing
from benchmarks.evaluation import STATS, coco_evaluators


def test_contenders_alternate_and_ratios_refer_to_the_first():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in 'abc'}
    result = timing.alternate(contenders, rounds=3, warmup=1)
    assert ''.join(calls) == 'abc' 'abc' 'cba' 'abc'
    assert result['ratio']['a'] == 1 and set(result) == {'median', 'ratio', 'spread'}
    for name in 'abc':
        assert result['median'][name] > 0


def test_seconds_are_those_of_the_given_clock():
    ticks = iter([0.0, 2.0, 10.0, 14.0, 20.0, 23.0])
    result = timing.alternate(dict(a=int), rounds=3, warmup=0, clock=lambda: next(ticks))
    assert result['median']['a'] == 3.0


@pytest.mark.parametrize('contenders, rounds, message', [
    ({}, 1, 'at least one contender'), (dict(a=int), 0, 'rounds must be 1 or more, got 0')])
def test_bad_calls_are_refused(contenders, rounds, message):
    with pytest.raises(ValueError, match=message):
        timing.alternate(contenders, rounds)


def test_saved_bytes_count_each_storage_once_and_no_parameters():
    x = torch.randn(10, 100, requires_grad=True).clone()  # 4000 bytes
    linear = nn.Linear(100, 50, bias=False)
    assert timing.saved_bytes(lambda: linear(x)) == 4000  # the input, not the weight
    assert timing.saved_bytes(lambda: (linear(x), x * x)) == 4000
    assert timing.saved_bytes(lambda: linear(x).relu()) == 4000 + 2000
    assert timing.saved_bytes(lambda: x * x, exclude=[x]) == 0
    with torch.no_grad():
        expected = timing.saved_bytes(lambda: linear(x))  # counts although gradients are off
    assert expected == 4000


def test_peak_memory_sees_what_is_freed_again():
    def work():
        a = torch.ones(1000, 1000)  # 4 MB
        b = a + 1
        del a
        return b + 1

    assert timing.peak_memory(work) == pytest.approx(8e6, rel=0.01)


def test_a_report_is_a_table_and_a_file(tmp_path, capsys):
    kept = record.report('things', [dict(a=1, b=0.123456), dict(a='x', c=None)], tmp_path)
    assert '| 1 | 0.1235 |' in capsys.readouterr().out
    written = json.loads((tmp_path / 'things.json').read_text())
    assert written == json.loads(json.dumps(kept))
    # Without what torch's own version says of the build, which its metadata may not have.
    version = written['environment']['versions']['torch']
    assert version.partition('+')[0] == torch.__version__.partition('+')[0]


def test_layers_keep_what_they_should():
    args = benchmark.parse_args(['layers', '--quick', '--rounds', '1', '--nchw'])
    rows = layers.measure(layers.norm_layers(8), (2, 8, 6, 6), torch.contiguous_format, args,
                          layers.gradient_error)
    rows = {row['layer']: row for row in rows}
    plain, ours = rows['batch norm + leaky ReLU'], rows['InPlaceABN']
    small = 0.2  # statistics of 8 channels beside 576 elements
    assert plain['saved_per_element'] == pytest.approx(2, abs=small)
    assert ours['saved_per_element'] == pytest.approx(1, abs=small)
    assert max(row['error_vs_float64'] for row in (plain, ours)) < 1e-4


def test_every_subject_has_a_module_with_run():
    for module, _ in benchmark.SUBJECTS.values():
        assert callable(importlib.import_module(f'benchmarks.{module}').run)


@pytest.mark.parametrize('argv, message', [
    (['layers', '--rounds', '0'], '--rounds must be 1 or more'),
    (['backbones', '--batch-size', 'many'], "positive integer or 'auto', got 'many'"),
    (['speed'], "invalid choice: 'speed'")])
def test_bad_options_are_refused(argv, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.parse_args(argv)
    assert message in capsys.readouterr().err


def test_the_largest_batch_of_a_step_follows_the_memory(monkeypatch):
    monkeypatch.setattr(timing, 'available_memory', lambda: 12 * 64 * 64 * 100)
    # One image is 3 * 64 * 64 * 4 bytes, and the step makes one copy of it.
    found = networks.largest_batch(lambda x: x + 1, 64, 'cpu')
    assert found == 90  # a tenth of the memory stays free


def test_backbones_are_compared_in_every_format():
    args = benchmark.parse_args(
        ['backbones', '--quick', '--rounds', '1', '--batch-size', '2', '--train'])
    arch = dict(depths=(1, 1, 1, 1), width=0.125)
    models = {name: networks.tresnet(arch, name).train()
              for name in ('BN', 'InPlaceABN')}
    rows = networks.compare(models, 'train', 64, args)
    assert [(row['model'], row['format']) for row in rows] == [
        ('BN', 'NCHW'), ('InPlaceABN', 'NCHW'), ('BN', 'channels_last'),
        ('InPlaceABN', 'channels_last')]
    assert rows[0]['best_vs_BN'] == 1
    saved = {row['model']: row['saved_MiB_per_image'] for row in rows}
    assert saved['InPlaceABN'] < 0.75 * saved['BN']
    assert plots.speed_memory(rows) is not None


def test_the_published_network_computes_the_same_and_keeps_more():
    pytest.importorskip('inplace_abn')
    arch = dict(depths=(1, 1, 1, 1), width=0.5)
    published, ours = networks.published(arch).train(), networks.tresnet(arch).train()
    ours.load_state_dict({key.replace('blur.1.', 'se.'): value
                          for key, value in published.state_dict().items()
                          if not key.endswith('kernel')})
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(published(x)[-1], ours(x)[-1], rtol=1e-3, atol=1e-4)
    kept = [timing.saved_bytes(lambda m=model: m(x), exclude=model.buffers())
            for model in (published, ours)]
    assert kept[0] > 1.05 * kept[1]


def test_faster_coco_metric_gives_the_same_twelve_numbers(tmp_path):
    pytest.importorskip('faster_coco_eval')
    plain, faster = (run() for run in coco_evaluators(tmp_path, images=60, boxes=30).values())
    assert set(plain) == {f'coco/bbox_{key}' for key in STATS}
    assert plain == faster
    assert 0.02 < plain['coco/bbox_mAP'] < 0.9  # neither nothing nor everything is found


def test_pipelines_take_images_of_any_size(tmp_path):
    """A real image is as large as it is, which the detection loader compares."""
    from mmengine.dataset import Compose
    from PIL import Image

    from benchmarks import pipeline
    Image.new('RGB', (90, 70)).save(tmp_path / 'x.jpg')
    assert pipeline.size_of(str(tmp_path / 'x.jpg')) == (90, 70)
    for task in pipeline.tasks():
        made = [pipeline.process(Compose(steps), task.fields, str(tmp_path / 'x.jpg'))
                for steps in (pipeline.plain(task.steps), task.steps)]
        shapes = [packed['inputs'].shape for packed in made]
        assert shapes[0] == shapes[1]
        if task.side != 800:
            assert shapes[0] == (3, task.side, task.side)
