"""What ``tresnet-mm export`` writes of configs, published files and checkpoints, and its check."""

import json
from argparse import Namespace

import mmcv
import onnx
import pytest
import torch
from mmengine.config import Config

from tests.deploy import own_truth
from tresnet_mm import Inferencer, __version__, fuse
from tresnet_mm.__main__ import main
from tresnet_mm.commands import export_onnx as command

pytest.importorskip('onnxruntime')
SIZE = ['--size', '64', '64']


def said(path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


@pytest.fixture(scope='module')
def joint(tmp_path_factory) -> own_truth.OwnTruth:
    return own_truth.make('joint', tmp_path_factory.mktemp('joint'))


@pytest.mark.slow
def test_a_published_file_says_all_that_its_config_and_checkpoint_say(joint, tmp_path):
    main(['publish', str(joint.checkpoint), str(tmp_path), '--config', str(joint.config)])
    [published] = tmp_path.glob('*.safetensors')
    for name, model in (('a', [joint.config, joint.checkpoint]), ('b', [published])):
        main(['export', *map(str, model), '-o', str(tmp_path / f'{name}.onnx'), *SIZE])
    expected, found = said(tmp_path / 'a.onnx'), said(tmp_path / 'b.onnx')
    assert found == expected
    assert found['task'] == 'joint' and found['version'] == __version__
    assert json.loads(found['classes']) == list(own_truth.CLASSES)
    heads = json.loads(found['image_heads'])
    assert heads['weather'] == dict(
        kind='single-label', classes=list(own_truth.WEATHER), thresholds=None)
    assert heads['scene'] == dict(
        kind='multilabel', classes=list(own_truth.SCENE), thresholds=[0.45, 0.55])
    assert json.loads(found['preprocessing']) == dict(
        mode='letterbox', size=[96, 96], resample='opencv', channels='rgb', mean=[0., 0., 0.],
        std=[255., 255., 255.], pad_divisor=32, pad_value=0.)
    model = fuse(Inferencer(str(published), device='cpu').model)
    assert model.fuse_report.abn > 0


def test_a_checkpoint_of_a_run_needs_no_config(tmp_path):
    files = own_truth.make('classifier', tmp_path)
    content = torch.load(files.checkpoint, weights_only=True)
    content['meta']['cfg'] = Config.fromfile(files.config).pretty_text
    torch.save(content, tmp_path / 'epoch_1.pth')
    main(['export', str(tmp_path / 'epoch_1.pth'), '-o', str(tmp_path / 'a.onnx'), *SIZE])
    found = said(tmp_path / 'a.onnx')
    assert found['task'] == 'multilabel' and json.loads(found['thresholds']) == [0.4, 0.5, 0.6]


def test_a_file_may_leave_out_how_images_are_prepared_but_not_do_it(tmp_path, capsys):
    files = own_truth.make('classifier', tmp_path)
    flips = ['--cfg-options', 'test_dataloader.dataset.pipeline.1.interpolation=bicubic']
    exporting = ['export', str(files.config), str(files.checkpoint), '-o', str(tmp_path / 'a.onnx'),
                 *SIZE, *flips]
    with pytest.raises(SystemExit):
        main([*exporting, '--with-preprocessing'])
    assert 'resizes by cv2 bicubic' in capsys.readouterr().err
    assert not (tmp_path / 'a.onnx').exists()
    main(exporting)
    assert 'will not say how images are prepared' in capsys.readouterr().out
    assert 'preprocessing' not in said(tmp_path / 'a.onnx')


@pytest.mark.parametrize('argv, words', [
    (['fcos_tresnet_tiny_shapes'], 'is a config, and its model has no weights yet'),
    (['fcos_tresnet_tiny_shapes', 'a.onnx'], 'a.onnx is exported already'),
    (['absent.safetensors'], 'absent.safetensors does not exist'),
])
def test_what_holds_no_weights_is_refused(argv, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.onnx').write_text('')
    with pytest.raises(SystemExit):
        main(['export', *argv])
    assert words in capsys.readouterr().err


def test_an_untrained_model_downloads_nothing(tmp_path):
    files = own_truth.make('classifier', tmp_path)
    cfg = Config.fromfile(files.config)
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='https://no.invalid/a.pth')
    cfg.dump(tmp_path / 'start.py')
    main(['export', str(tmp_path / 'start.py'), 'none', '-o', str(tmp_path / 'a.onnx'), *SIZE])
    assert said(tmp_path / 'a.onnx')['task'] == 'multilabel'


@pytest.mark.parametrize('pixels', [False, True])
def test_images_of_a_folder_are_prepared_as_for_the_model(pixels, tmp_path):
    """As the pipeline does it; pixels are those of the file, in RGB."""
    files = own_truth.make('detector', tmp_path)
    args = Namespace(images=str(files.images[0].parent), config=str(files.config),
                     cfg_options=None, work_dir=None, launcher='none', checkpoint='none')
    exported = command.load(args)
    found = list(command.examples(args, exported, ('pixels',) if pixels else ('images', 'sizes')))
    assert len(found) == 8  # the first ones
    for path, given in zip(files.images, found, strict=False):
        image = mmcv.imread(str(path))[..., ::-1]
        if pixels:
            assert len(given) == 1 and (given[0][0].numpy() == image).all()
            continue
        images, sizes = given
        scale = 96 / max(image.shape[:2])
        height, width = (int(side * scale + 0.5) for side in image.shape[:2])
        assert sizes.tolist() == [[height, width]]
        assert all(0 <= big - small < 32 and big % 32 == 0
                   for big, small in zip(images.shape[-2:], (height, width), strict=True))
        resized = mmcv.imresize(image.copy(), (width, height))
        found_image = images[0, :, :height, :width].permute(1, 2, 0).numpy()
        assert abs(found_image * 255 - resized).max() <= 1


class Graph:
    """Outputs that are given, for `check`."""

    inputs = ('images', 'sizes')

    def __init__(self, **outputs: torch.Tensor) -> None:
        self.given, self.outputs = outputs, tuple(outputs)

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.given.values())

    def outputs_of(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.given


DETECTED = dict(
    boxes=torch.rand(5, 4) * 100, scores=torch.rand(5), labels=torch.arange(5),
    image_ids=torch.tensor([0, 0, 0, 1, 1]), masks=torch.rand(5, 4, 4),
    **{'label_scores': torch.rand(2, 3), 'label_scores.weather': torch.rand(2, 2)})


@pytest.mark.parametrize('output, words', [
    (None, None), ('boxes', '2 of 10 detections'), ('scores', '2 of 10 detections'),
    ('labels', '2 of 10 detections'), ('image_ids', '2 of 10 detections'),
    ('masks', '2 of 10 detections'), ('label_scores', 'scores by up to 0.99'),
    ('label_scores.weather', 'scores by up to 0.99')])
def test_every_output_of_a_file_is_held_against_pytorch(output, words, monkeypatch):
    other = {name: value.clone() for name, value in DETECTED.items()}
    order = torch.tensor([1, 0, 2, 4, 3])  # which rounding may change
    for name in ('boxes', 'scores', 'labels', 'image_ids', 'masks'):
        other[name] = other[name][order]
    if output is not None:
        other[output].view(-1)[-1] += 0.99 if other[output].is_floating_point() else 1
    monkeypatch.setattr(command, 'OnnxModel', lambda path: Graph(**other))
    inputs = [(torch.rand(2, 3, 32, 32), torch.tensor([[32, 32]] * 2))]
    if words is None:
        found = command.check(Graph(**DETECTED), 'a.onnx', iter(inputs))
        assert found == 'agrees with PyTorch on 2 images: 10 of 10 detections match, scores to 0'
        return
    with pytest.raises(RuntimeError, match=words):
        command.check(Graph(**DETECTED), 'a.onnx', iter(inputs))
