"""A joint model with named image heads, from its scores to pictures and a published file."""

import json
import re

import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from tests.inference.conftest import CLASSES, HEAD, config, photos, spread_weights  # noqa: F401
from tresnet_mm import Inferencer
from tresnet_mm.__main__ import main
from tresnet_mm.checkpoint import read_file, read_published
from tresnet_mm.commands.image_heads import only_head
from tresnet_mm.deploy import fuse
from tresnet_mm.evaluation import save_thresholds
from tresnet_mm.inference import list_images
from tresnet_mm.inference.results import named_lines
from tresnet_mm.visualization import class_maps
from tresnet_mm.web.texts import results_table

RNG = np.random.default_rng(0)
IMAGE_CLASSES = dict(weather=('sun', 'rain'), scene=('street', 'park', 'night', 'fog'))
HEADS = dict(scene=dict(type='MultiLabelLinearHead', num_classes=4),
             weather=dict(type='SingleLabelHead', num_classes=2))


def over_confident(count: int, classes, **more) -> dict:
    """Scores whose logits are three times too far from 0."""
    logits = RNG.normal(0, 1.5, (count, len(classes)))
    targets = (RNG.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return dict(scores=(1 / (1 + np.exp(-3 * logits))).astype(np.float32), targets=targets,
                classes=classes, images=[str(i) for i in range(count)], **more)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Config, checkpoint, and the scores of each head that has several labels."""
    path = tmp_path_factory.mktemp('named')
    cfg = config('joint', image_heads=HEADS)
    cfg.test_dataloader.dataset.metainfo.image_classes = IMAGE_CLASSES
    cfg.test_dataloader.dataset.type = 'CheckedCocoDataset'
    cfg.val_dataloader = cfg.test_dataloader
    cfg.dump(path / 'model.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    spread_weights(model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(
        cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES, image_classes=IMAGE_CLASSES))),
        path / 'model.pth')
    np.savez(path / 's.npz', **over_confident(2000, CLASSES, head=''))
    np.savez(path / 's.scene.npz', **over_confident(2000, IMAGE_CLASSES['scene'], head='scene'))
    np.savez(path / 's.weather.npz', **over_confident(
        50, IMAGE_CLASSES['weather'], head='weather', one_label=True))
    np.savez(path / 's.other.npz', x=1)
    calibrate(path)
    return path


def calibrate(folder, *more: str, out: str = 'c.pth', checkpoint: str = 'model.pth') -> None:
    main(['calibrate', str(folder / 'model.py'), str(folder / checkpoint), '-o',
          str(folder / out), '--scores', str(folder / 's.npz'), *more])


def fitted_of(file) -> dict[str, torch.Tensor]:
    return {key: value for key, value in read_file(file)['state_dict'].items()
            if 'calibration' in key}


def test_all_heads_but_those_of_one_label_are_calibrated(folder, capsys):
    calibrate(folder, '--plot', str(folder / 'plot.png'))
    said = capsys.readouterr().out
    assert 'left out: weather is a SingleLabelHead' in said
    assert 'image_head, 2000 images:' in said and 'scene, 2000 images:' in said
    assert (folder / 'plot.png').is_file() and (folder / 'plot.scene.png').is_file()
    fitted = fitted_of(folder / 'c.pth')
    assert set(fitted) == {f'{head}.calibration.{key}' for head in (
        'image_head', 'image_heads.scene') for key in ('scale', 'bias', 'thresholds')}
    for head, count in dict(image_head=3, **{'image_heads.scene': 4}).items():
        scale = fitted[f'{head}.calibration.scale']
        np.testing.assert_allclose(scale, np.full(count, 1 / 3), rtol=0.15)


def test_one_head_is_calibrated_and_the_others_stay(folder):
    calibrate(folder, '--head', 'scene', '--thresholds', 'none', out='one.pth')
    assert set(fitted_of(folder / 'one.pth')) == {
        'image_heads.scene.calibration.scale', 'image_heads.scene.calibration.bias'}
    calibrate(folder, '--head', 'image_head', out='two.pth', checkpoint='one.pth')
    two = fitted_of(folder / 'two.pth')
    assert len(two) == 5
    for key, value in fitted_of(folder / 'one.pth').items():
        assert torch.equal(two[key], value)


@pytest.mark.parametrize(('more', 'message'), [
    (['--head', 'weather'], 'nothing to calibrate: weather is a SingleLabelHead'),
    (['--head', 'scenes'], '--head scenes: the image-level heads of the model are image_head, '
                           'scene, weather'),
    (['--cfg-options', 'model.image_heads.scene.thresholds=0.5'],
     'scene of .* has thresholds of its own'),
])
def test_heads_that_cannot_be_calibrated(more, message, folder, capsys):
    with pytest.raises(SystemExit):
        calibrate(folder, *more, out='x.pth')
    assert re.search(message, capsys.readouterr().err)
    assert not (folder / 'x.pth').exists()


def test_heads_without_scores_are_left_out_by_name(folder, tmp_path, capsys):
    (tmp_path / 's.npz').write_bytes((folder / 's.npz').read_bytes())
    calibrate(folder, '--scores', str(tmp_path / 's.npz'), out='part.pth')
    assert f'left out: scene has no scores in {tmp_path / "s.scene.npz"}' in capsys.readouterr().out
    assert {key.split('.')[0] for key in fitted_of(folder / 'part.pth')} == {'image_head'}


def test_a_head_of_one_label_gets_no_thresholds(folder, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['thresholds', str(folder / 's.npz'), str(tmp_path / 't.json'), '--head', 'weather'])
    assert ("s.npz: the image head 'weather' predicts the class of highest score, without one"
            in capsys.readouterr().err)
    main(['thresholds', str(folder / 's.npz'), str(tmp_path / 't.json')])
    assert 'weather: the image head' in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ['t.json', 't.scene.json']


def test_the_only_head_need_not_be_named():
    model = dict(detector={}, image_heads=HEADS)
    with pytest.raises(ValueError, match='the image-level heads scene, weather: choose one by'):
        only_head(model, None)
    assert only_head(model, 'weather') == 'weather'
    assert only_head(dict(detector={}, image_heads=dict(scene=HEADS['scene'])), None) == 'scene'
    assert only_head(dict(head={}), None) is None
    with pytest.raises(ValueError, match='the image-level heads none: choose one'):
        only_head(dict(detector={}), None)


def wanted_labels(run: Inferencer, photo) -> dict[str, set[int]]:
    result = run(str(photo))[0]['image_labels']
    assert {kind: tuple(found['scores']) for kind, found in result.items()} == IMAGE_CLASSES
    return {kind: {label['label_id'] for label in found['labels']}
            for kind, found in result.items()}


@pytest.fixture(scope='module')
def published(folder):
    main(['publish', str(folder / 'c.pth'), str(folder / 'out')])
    return next((folder / 'out').glob('*.safetensors'))


def test_the_published_file_is_what_the_checkpoint_is(folder, published, photos):  # noqa: F811
    said = read_published(published)
    fitted = fitted_of(folder / 'c.pth')
    assert said.dataset_meta['image_classes'] == {k: list(v) for k, v in IMAGE_CLASSES.items()}
    own = fitted['image_heads.scene.calibration.thresholds']
    np.testing.assert_allclose(said.model['image_heads']['scene']['thresholds'], own, atol=1e-6)
    assert 'thresholds' not in said.model['image_heads']['weather']
    plain = Inferencer(str(folder / 'model.py'), folder / 'model.pth', device='cpu')
    logits = torch.tensor([list(plain(str(photo))[0]['image_labels']['scene']['scores'].values())
                           for photo in photos]).logit()
    wanted = (logits * fitted['image_heads.scene.calibration.scale']
              + fitted['image_heads.scene.calibration.bias']).sigmoid()
    for arguments in ([str(folder / 'model.py'), folder / 'c.pth'], [published]):
        run = Inferencer(*arguments, device='cpu')
        for photo, row in zip(photos, wanted, strict=True):
            found = run(str(photo))[0]['image_labels']
            np.testing.assert_allclose(list(found['scene']['scores'].values()), row, atol=1e-5)
            assert wanted_labels(run, photo)['scene'] == set(np.flatnonzero(row > own))
            weather = found['weather']
            best = max(weather['scores'], key=weather['scores'].get)
            assert [label['label'] for label in weather['labels']] == [best]

    card = (folder / 'out/README.md').read_text()
    assert '## weather\n\nOne label an image' in card and '0. sun\n1. rain' in card
    assert f'| 3 | fog | {own[3]:.4g} |' in card.partition('## scene')[2]

    main(['publish', str(published), str(folder / 'again')])  # nothing gets lost on the way
    assert read_published(next((folder / 'again').glob('*.safetensors'))) == said


def test_a_folded_model_is_calibrated_too(folder, photos):  # noqa: F811
    run = Inferencer(str(folder / 'model.py'), folder / 'c.pth', device='cpu')
    before = run(str(photos[0]))[0]['image_labels']
    run.model = fuse(run.model)
    after = run(str(photos[0]))[0]['image_labels']
    for kind, found in before.items():
        assert found['scores'] == pytest.approx(after[kind]['scores'], abs=1e-4)
        assert [x['label'] for x in found['labels']] == [x['label'] for x in after[kind]['labels']]


def test_names_and_thresholds_by_options(folder, tmp_path, capsys):
    meta = read_file(folder / 'model.pth')
    meta['meta']['dataset_meta'] = {'classes': list(CLASSES)}
    text = meta['meta']['cfg'].replace('image_classes', 'other')
    torch.save(dict(meta, meta=dict(meta['meta'], cfg=text)), tmp_path / 'bare.pth')
    with pytest.raises(SystemExit):
        main(['publish', str(tmp_path / 'bare.pth'), str(tmp_path / 'out')])
    assert "the classes of the image head 'scene': give --classes scene=FILE" in (
        capsys.readouterr().err)
    (tmp_path / 'w.txt').write_text('wet\ndry\n')
    (tmp_path / 's.txt').write_text('a\nb\nc\nd\n')
    save_thresholds(tmp_path / 't.json', [0.4, 0.3, 0.2, 0.1], 'dcba')
    main(['publish', str(tmp_path / 'bare.pth'), str(tmp_path / 'out'), '--classes',
          f'weather={tmp_path / "w.txt"}', '--classes', f'scene={tmp_path / "s.txt"}',
          '--thresholds', f'scene={tmp_path / "t.json"}'])
    said = read_published(next((tmp_path / 'out').glob('*.safetensors')))
    assert said.dataset_meta['image_classes'] == dict(weather=['wet', 'dry'], scene=list('abcd'))
    assert said.model['image_heads']['scene']['thresholds'] == [0.1, 0.2, 0.3, 0.4]
    assert said.thresholds is None
    for option, message in ((f'mood={tmp_path / "t.json"}', "no named image head 'mood', but sce"),
                            (f'weather={tmp_path / "t.json"}', 'a SingleLabelHead takes none')):
        with pytest.raises(SystemExit):
            main(['publish', str(folder / 'model.pth'), str(tmp_path / 'no'), '--thresholds',
                  option])
        assert message in capsys.readouterr().err


def test_the_classes_of_the_head_without_a_name_are_asked_for(folder, tmp_path, capsys):
    """Where only those of the named heads are given."""
    cfg = config('joint', image_heads=HEADS)
    cfg.test_dataloader.dataset.type, cfg.test_dataloader.dataset.metainfo = 'CustomMultiLabel', {}
    torch.save(dict(read_file(folder / 'model.pth'), meta=dict(cfg=cfg.pretty_text)),
               tmp_path / 'nameless.pth')
    options = []
    for name, names in IMAGE_CLASSES.items():
        (tmp_path / f'{name}.txt').write_text('\n'.join(names))
        options += ['--classes', f'{name}={tmp_path / name}.txt']
    with pytest.raises(SystemExit):
        main(['publish', str(tmp_path / 'nameless.pth'), str(tmp_path / 'out'), *options])
    assert 'nameless.pth nor its config names the classes: give --classes' in (
        capsys.readouterr().err)
    assert not (tmp_path / 'out').exists()


def test_one_threshold_and_top_k_are_for_named_heads_too(folder, photos):  # noqa: F811
    run = Inferencer(str(folder / 'model.py'), folder / 'c.pth', device='cpu')
    photo = str(photos[0])
    scores = run(photo)[0]['image_labels']['scene']['scores']
    middle = float(np.mean(sorted(scores.values())[1:3]))
    for settings, count in ((dict(threshold=middle), 2), (dict(top_k=3), 3)):
        found = run(photo, **settings)[0]['image_labels']
        assert [label['label'] for label in found['scene']['labels']] == sorted(
            scores, key=scores.get, reverse=True)[:count]
        assert len(found['weather']['labels']) == 1


def test_pictures_have_the_labels(folder, photos, monkeypatch, tmp_path):  # noqa: F811
    drawn = []
    monkeypatch.setattr('tresnet_mm.visualization.named_labels.draw_label_scores',
                        lambda picture, scores, names, targets, **more: drawn.append(
                            (names, more['predicted'].tolist())) or picture)
    run = Inferencer(str(folder / 'model.py'), folder / 'c.pth', device='cpu')
    result = run(str(photos[0]), str(tmp_path), threshold=0.45)[0]
    for (names, predicted), (kind, found) in zip(drawn, result['image_labels'].items(),
                                                 strict=True):
        assert names == [f'{kind}: {label}' for label in IMAGE_CLASSES[kind]]
        assert set(np.flatnonzero(predicted)) == {label['label_id'] for label in found['labels']}
    written = json.loads(next((tmp_path / 'preds').iterdir()).read_text())
    assert written['image_labels'] == result['image_labels']


def test_a_picture_is_as_much_longer_as_its_lines(folder, photos):  # noqa: F811
    """Drawing changes nothing of the sample, so that other thresholds can be drawn afterwards."""
    run = Inferencer(str(folder / 'model.py'), folder / 'model.pth', device='cpu')
    (image,), = run.preprocess(list_images(str(photos[0])), 1, False)
    (sample,) = run.forward([image])
    few, many = (run.visualize(image, sample, run.decision(1.0, threshold=t)) for t in (1., 0.))
    assert few.shape[1] == many.shape[1]
    assert (few == run.visualize(image, sample, run.decision(1.0, threshold=1.))).all()
    # 3 labels of the boxes' classes in both; of 4 scenes one or all; one weather
    line = round(1.4 * 13)
    assert many.shape[0] - few.shape[0] == 3 * line


def test_lines_of_videos_and_of_the_page():
    found = dict(width=4, height=3, image_labels=dict(
        weather=dict(labels=[dict(label='rain', label_id=1, score=0.75)], scores={}),
        scene=dict(labels=[dict(label='a<b', label_id=0, score=0.5)], scores={})))
    assert named_lines(found) == ['weather: rain 0.75', 'scene: a<b 0.50']
    assert named_lines(dict(labels=[])) == []
    assert ('<tr><td>0.75</td><td>rain</td><td>image, weather</td></tr><tr><td>0.50</td>'
            '<td>a&lt;b</td><td>image, scene</td></tr>') in results_table('x', found)


def test_class_maps_of_a_named_head(folder, photos, tmp_path, capsys):  # noqa: F811
    arguments = ['class-map', str(photos[0]), str(folder / 'model.py'), str(folder / 'model.pth'),
                 '--out-dir', str(tmp_path)]
    with pytest.raises(SystemExit):
        main(arguments)
    assert 'heads image_head, scene, weather: choose one by --head' in capsys.readouterr().err
    main([*arguments, '--head', 'scene', '--classes', 'fog'])
    assert 'scene: fog 0.' in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == [f'{photos[0].stem}.scene.fog.png']
    assert mmcv.imread(str(tmp_path / f'{photos[0].stem}.scene.fog.png')).std() > 1

    run = Inferencer(str(folder / 'model.py'), folder / 'model.pth', device='cpu')
    (image,), = run.preprocess(list_images(str(photos[0])), 1, False)
    (maps,) = class_maps(run.model, run.collate_fn([image.data]), head='scene')
    scores = list(run(str(photos[0]))[0]['image_labels']['scene']['scores'].values())
    np.testing.assert_allclose(maps.scores, scores, atol=1e-6)
    logits = torch.from_numpy(maps.cells).mean(dim=(1, 2))
    np.testing.assert_allclose(logits.sigmoid(), scores, atol=1e-5)
    with pytest.raises(TypeError, match="no image-level head 'mood'"):
        class_maps(run.model, run.collate_fn([image.data]), head='mood')


def test_thresholds_of_all_heads_or_one(folder, tmp_path, capsys):
    main(['thresholds', str(folder / 's.npz'), str(tmp_path / 't.json')])
    said = capsys.readouterr().out
    assert "weather: the image head 'weather' predicts the class of highest score" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ['t.json', 't.scene.json']
    content = json.loads((tmp_path / 't.scene.json').read_text())
    assert content['classes'] == list(IMAGE_CLASSES['scene'])
    for arguments in (['s.npz', '--head', 'scene'], ['s.scene.npz']):
        main(['thresholds', str(folder / arguments[0]), str(tmp_path / 'one.json'),
              *arguments[1:]])
        assert json.loads((tmp_path / 'one.json').read_text()) == content
    with pytest.raises(SystemExit):
        main(['thresholds', str(folder / 's.npz'), str(tmp_path / 'x.json'), '--head', 'mood'])
    assert 's.mood.npz does not exist' in capsys.readouterr().err


def test_mistakes_of_a_named_head(folder, photos, tmp_path, capsys):  # noqa: F811
    saved = over_confident(5, IMAGE_CLASSES['scene'], head='scene')
    np.savez(tmp_path / 'm.npz', **saved | dict(images=[str(photo) for photo in photos]))
    main(['mistakes', str(folder / 'model.py'), str(tmp_path / 'm.npz'), '--out-dir',
          str(tmp_path / 'm')])
    alarms = json.loads((tmp_path / 'm/false_alarms.json').read_text())
    wanted = int(((saved['scores'] > 0.5) & (saved['targets'] == 0)).sum())
    assert len(alarms) == wanted > 0
    np.savez(tmp_path / 'm.npz', **dict(saved, head='mood'))
    with pytest.raises(SystemExit):
        main(['mistakes', str(folder / 'model.py'), str(tmp_path / 'm.npz')])
    assert "scores of the image head 'mood', and the model" in capsys.readouterr().err
