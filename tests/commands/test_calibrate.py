"""One calibrated checkpoint gives the same scores and labels wherever it goes."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from tests.inference.conftest import CLASSES, config, photos, spread_weights  # noqa: F401
from tresnet_mm import Inferencer
from tresnet_mm.__main__ import main
from tresnet_mm.checkpoint import read_file, read_published

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A model with random weights and over-confident scores, calibrated on these."""
    path = tmp_path_factory.mktemp('calibrate')
    cfg = config('classifier')
    cfg.dump(path / 'model.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    spread_weights(model)
    torch.save(dict(state_dict=model.state_dict(), optimizer={},
                    meta=dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES))),
               path / 'model.pth')
    logits = RNG.normal(0, 1.5, (5000, 3))
    targets = (RNG.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    np.savez(path / 's.npz', scores=(1 / (1 + np.exp(-3 * logits))).astype(np.float32),
             targets=targets, classes=CLASSES, images=[str(i) for i in range(5000)])
    return path


def calibrate(folder, *more):
    main(['calibrate', str(folder / 'model.py'), str(folder / 'model.pth'), '-o',
          str(folder / 'c.pth'), '--scores', str(folder / 's.npz'), *more])


@pytest.mark.slow
def test_the_same_everywhere(folder, photos, capsys):  # noqa: F811
    pytest.importorskip('onnxruntime')
    calibrate(folder, '--thresholds', 'recall=0.8', '--plot', str(folder / 'plot.png'))
    said = capsys.readouterr().out
    before, after = (float(x) for x in said.partition('ECE (%): ')[2].split('\n')[0].split(' -> '))
    assert after < 1.5 < 10 < before
    assert (folder / 'plot.png').stat().st_size > 10_000
    state = read_file(folder / 'c.pth')['state_dict']
    np.testing.assert_allclose(state['head.calibration.scale'], 1 / 3, rtol=0.1)
    thresholds = state['head.calibration.thresholds'].numpy()

    plain = Inferencer(str(folder / 'model.py'), folder / 'model.pth', device='cpu')
    logits = torch.tensor([list(plain(str(photo))[0]['scores'].values())
                           for photo in photos]).logit()
    wanted = (logits * state['head.calibration.scale'] + state['head.calibration.bias']).sigmoid()

    main(['publish', str(folder / 'c.pth'), str(folder / 'out')])
    published = next((folder / 'out').glob('*.safetensors'))
    np.testing.assert_allclose(read_published(published).thresholds, thresholds, atol=1e-6)
    main(['export', str(folder / 'model.py'), str(folder / 'c.pth'), '--out',
          str(folder / 'm.onnx'), '--size', '96', '96'])
    for arguments in ([str(folder / 'model.py'), folder / 'c.pth'], [published],
                      [str(folder / 'model.py'), folder / 'm.onnx']):
        run = Inferencer(*arguments, device='cpu')
        np.testing.assert_allclose(run.thresholds, thresholds, atol=1e-6)
        for photo, row in zip(photos, wanted, strict=True):
            result = run(str(photo))[0]
            np.testing.assert_allclose(list(result['scores'].values()), row, atol=1e-5)
            assert {label['label_id'] for label in result['labels']} == set(
                np.flatnonzero(row.numpy() > thresholds))


def test_nothing_is_left_of_an_older_calibration_or_of_training(folder):
    calibrate(folder, '--scaling', 'temperature', '--thresholds', 'none')
    content = read_file(folder / 'c.pth')
    names = [name for name in content['state_dict'] if 'calibration' in name]
    assert names == ['head.calibration.scale', 'head.calibration.bias']
    assert set(content) == {'meta', 'state_dict'}


def test_one_temperature_and_classes_of_few_images(folder, capsys):
    """The first class gets one positive, the second none."""
    saved = dict(np.load(folder / 's.npz'))
    targets = saved['targets'][:60].copy()
    targets[:, 1], targets[1:, 0], targets[0, 0] = 0, 0, 1
    np.savez(folder / 'few.npz', **{**saved, 'scores': saved['scores'][:60], 'targets': targets})
    files = [str(folder / name) for name in ('model.py', 'model.pth')]
    for scaling, few in dict(platt=True, temperature=True, shared=False).items():
        main(['calibrate', *files, '-o', str(folder / 'f.pth'), '--scores', str(folder / 'few.npz'),
              '--scaling', scaling])
        said = capsys.readouterr().out
        state = read_file(folder / 'f.pth')['state_dict']
        scale = state['head.calibration.scale'].tolist()
        assert (f'has the temperature of all classes, {1 / scale[0]:.4f}: only 1 known' in said
                ) == few == (scale[0] != scale[2])
        assert scale[0] == scale[1] and state['head.calibration.bias'][:2].tolist() == [0, 0]
        assert 'no known positives: the threshold is 0.5' in said
        assert f'{CLASSES[0]}: its threshold rests on 1 known positives' in said


@pytest.mark.parametrize(('more', 'message'), [
    (['--fewest', '0'], '--fewest should be at least 1, got 0'),
    (['--thresholds', 'precision=2'], "got 'precision=2'"),
    (['-o', 'x.txt'], '-o should name a .pth file'),
    (['--scaling', 'none', '--thresholds', 'none'], 'nothing to fit'),
    (['--thresholds', 'precision=high'], "got 'precision=high'"),
    (['--cfg-options', 'model.head.thresholds=0.5'], 'has thresholds of its own'),
    (['--cfg-options', 'model.head.num_classes=4'],
     'the scores of head are of 3 classes, the model has 4'),
    (['--scores', ''], 'model.py has no val_dataloader'),
])
def test_mistakes_are_told(more, message, folder, capsys):
    with pytest.raises(SystemExit):
        calibrate(folder, *more)
    assert message in capsys.readouterr().err


def test_scores_of_a_calibrated_checkpoint_are_not_calibrated_again(folder, capsys):
    calibrate(folder)
    with pytest.raises(SystemExit):
        main(['calibrate', str(folder / 'model.py'), str(folder / 'c.pth'), '-o',
              str(folder / 'twice.pth'), '--scores', str(folder / 's.npz')])
    assert 'c.pth is calibrated already, and so are its scores' in capsys.readouterr().err
    assert not (folder / 'twice.pth').exists()


def test_a_detector_has_nothing_to_calibrate(folder, tmp_path, capsys):
    config('detector').dump(tmp_path / 'detector.py')
    with pytest.raises(SystemExit):
        main(['calibrate', str(tmp_path / 'detector.py'), str(folder / 'model.pth'), '-o',
              str(tmp_path / 'c.pth')])
    assert 'detector.py has no image-level head: there is nothing' in capsys.readouterr().err


def test_thresholds_alone_leave_the_scores_as_they_are(folder):
    """Each threshold is one at which no other gives a better F1."""
    calibrate(folder, '--scaling', 'none', '--thresholds', 'f1')
    fitted = {name: value for name, value in read_file(folder / 'c.pth')['state_dict'].items()
              if 'calibration' in name}
    assert list(fitted) == ['head.calibration.thresholds']
    saved = np.load(folder / 's.npz')
    scores, targets = saved['scores'], saved['targets'] == 1

    def f1(thresholds):
        predicted = scores > thresholds
        return 2 * (predicted & targets).sum(0) / (predicted.sum(0) + targets.sum(0))

    best = f1(fitted['head.calibration.thresholds'].numpy())
    assert all((f1(other) <= best + 1e-4).all() for other in np.linspace(0.05, 0.95, 19))


def test_the_checkpoint_itself_is_not_overwritten(folder, capsys):
    with pytest.raises(SystemExit):
        calibrate(folder, '-o', str(folder / 'model.pth'))
    assert 'is the checkpoint itself' in capsys.readouterr().err
    assert 'optimizer' in read_file(folder / 'model.pth')
