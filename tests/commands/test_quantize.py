"""`tresnet-mm quantize`: images as the metadata or a config prepares them, and mistakes."""

import mmcv
import numpy as np
import onnx
import pytest

from tresnet_mm.commands.export_onnx import main as export
from tresnet_mm.commands.quantize import main, spread
from tresnet_mm.inference.image_sources import list_images

pytest.importorskip('onnxruntime')
CONFIG = 'multilabel_tresnet_tiny_shapes'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The file of an untrained classifier, and three images."""
    folder = tmp_path_factory.mktemp('quantize')
    export([CONFIG, 'none', '-o', str(folder / 'float.onnx'), '--size', '64', '64'])
    random = np.random.default_rng(0)
    for name in 'abc':
        mmcv.imwrite(random.integers(0, 256, (100, 80, 3), np.uint8),
                     str(folder / f'images/{name}.png'))
    return folder


def scales(file) -> dict[str, float]:
    """The scales of what is in 8 bits, by name."""
    return {tensor.name: onnx.numpy_helper.to_array(tensor)
            for tensor in onnx.load(file).graph.initializer if tensor.name.endswith('_scale')}


def test_metadata_and_config_prepare_the_images_alike(folder, tmp_path, capsys):
    for out, more in (('a', []), ('b', ['--config', CONFIG])):
        main([str(folder / 'float.onnx'), str(tmp_path / f'{out}.onnx'),
              '--images', str(folder / 'images'), '--count', '2', *more])
        said = capsys.readouterr().out
        assert '23 layers in 8 bits, 1 in float, calibrated on 2 images' in said
    a, b = scales(tmp_path / 'a.onnx'), scales(tmp_path / 'b.onnx')
    assert len(a) > 40 and a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=0.01)


def test_images_are_spread_over_the_folder(folder):
    images = list_images([np.zeros((1, 1, 3), np.uint8)] * 10)
    assert [image.index for image in spread(images, 4)] == [0, 2, 5, 7]
    assert spread(images, 10) == spread(images, 99) == images


@pytest.mark.parametrize('change, message', [
    (dict(file='absent.onnx'), 'absent.onnx does not exist'),
    (dict(images='empty'), 'has no image'),
    (dict(more=['--count', '0']), '--count must be 1 or more, got 0'),
    (dict(more=['--float', 'neck']), "invalid choice: 'neck'")])
def test_mistakes_are_one_message_and_nothing_is_written(change, message, folder, tmp_path,
                                                         monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / 'empty').mkdir(exist_ok=True)
    out = tmp_path / 'out.onnx'
    with pytest.raises(SystemExit) as stop:
        main([change.get('file', 'float.onnx'), str(out), '--images',
              change.get('images', 'images'), *change.get('more', [])])
    assert stop.value.code == 2 and message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_file_that_says_nothing_of_its_images_needs_a_config(folder, tmp_path, capsys):
    model = onnx.load(folder / 'float.onnx')
    kept = [entry for entry in model.metadata_props if entry.key != 'preprocessing']
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / 'mute.onnx')
    arguments = [str(tmp_path / 'mute.onnx'), str(tmp_path / 'out.onnx'), '--images',
                 str(folder / 'images')]
    with pytest.raises(SystemExit):
        main(arguments)
    assert 'does not say how its images are prepared' in capsys.readouterr().err
    assert not (tmp_path / 'out.onnx').exists()
    main([*arguments, '--config', CONFIG])
    assert (tmp_path / 'out.onnx').is_file()
