"""The command line of prediction: what it takes for images, model and weights, and what it says."""

from types import SimpleNamespace

import pytest

from tresnet_mm.commands import predict


@pytest.mark.parametrize(('arguments', 'images', 'model', 'weights'), [
    ('a.jpg fcos_tresnet_m w.pth', ['a.jpg'], 'fcos_tresnet_m', 'w.pth'),
    ('a.jpg b mine.py w.pth', ['a.jpg', 'b'], 'mine.py', 'w.pth'),
    ('a.jpg mmdet::atss/a.py w.onnx', ['a.jpg'], 'mmdet::atss/a.py', 'w.onnx'),
    ('a.jpg b.jpg w.safetensors', ['a.jpg', 'b.jpg'], 'w.safetensors', None),
    ('a.jpg w.safetensors', ['a.jpg'], 'w.safetensors', None),
    ('--top-k 3 a.jpg --skip-bad mine.py w.pth', ['a.jpg'], 'mine.py', 'w.pth'),
    ('a.jpg mine.py', ['a.jpg'], 'mine.py', None),
    ('a.jpg fcos_tresnet_k w.pth', ['a.jpg'], 'fcos_tresnet_k', 'w.pth'),
    ('b/*.jpg c/** w.pth', ['b/*.jpg', 'c/**'], 'w.pth', None),
    ('a.jpg https://example.org/b w.pth', ['a.jpg', 'https://example.org/b'], 'w.pth', None),
])
def test_images_model_and_weights_are_told_apart(arguments, images, model, weights):
    args = predict.parse_args(arguments.split())
    assert (args.images, args.model, args.weights) == (images, model, weights)


def test_options_reach_the_inferencer(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.jpg').touch()
    seen = {}

    def stream(*options):
        seen['options'] = options
        yield from range(3)

    def inferencer(*arguments):
        seen['model'] = arguments
        return SimpleNamespace(stream=stream, skipped=['bad.jpg'])

    monkeypatch.setattr(predict, 'Inferencer', inferencer)
    predict.main(['a.jpg', 'm.py', 'w.pth', '--out-dir', 'o', '--batch-size', '4', '--device',
                  'cpu', '--score-thr', '0.6', '--threshold', '0.7', '--top-k', '2', '--skip-bad',
                  '--no-save-vis'])
    assert seen == dict(model=('m.py', 'w.pth', 'cpu'),
                        options=(['a.jpg'], 'o', 4, 0.6, 0.7, 2, True, True))
    assert capsys.readouterr().out == '3 images, 1 left out: o/preds\n'
    predict.main(['a.jpg', 'm.py', 'w.pth', '--threshold', 'best.json'])
    assert seen['options'] == (['a.jpg'], 'outputs', 1, 0.3, 'best.json', None, False, False)


@pytest.mark.parametrize(('arguments', 'message'), [
    ('b.jpg fcos_tresnet_m none.pth', "image 'b.jpg' does not exist"),
    ('a.jpg fcos_tresnet_k a.jpg', 'config file fcos_tresnet_k does not exist; tresnet_mm comes'),
    ('fcos_tresnet_k none.pth', "image 'fcos_tresnet_k' does not exist"),
    ('a.jpg fcos_tresnet_m', 'fcos_tresnet_m is a config, and its model has no weights yet'),
    ('a.jpg fcos_tresnet_m none.pth', 'checkpoint none.pth does not exist'),
])
def test_a_mistake_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.jpg').touch()
    with pytest.raises(SystemExit) as stop:
        predict.main(arguments.split())
    code = stop.value.code
    said = code if isinstance(code, str) else capsys.readouterr().err.strip()
    assert said.startswith('predict: error: ') and message in said and '\n' not in said
    assert len(list(tmp_path.iterdir())) == 1
