"""The experiments on real photographs: equal budgets, hidden labels, kept results, tables."""

import csv
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from sklearn.metrics import average_precision_score

from benchmarks.experiments import (
    bccd,
    cards,
    cards_losses,
    cards_partly,
    joint_heads,
    learning_curve,
)
from benchmarks.experiments.label_scores_metric import LabelScoresMetric
from benchmarks.experiments.small_backbones import BACKBONES, check_equal, costs, use_backbone
from benchmarks.experiments.small_sets import classes_of, shrink
from benchmarks.experiments.trainings import (
    RunError,
    Trainings,
    check_equal_budgets,
    fingerprint,
    load_config,
    train_and_test,
)
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage

FEW = dataclasses.replace(SHAPES_SET, num_train=20, num_val=6)


def cells(table: str) -> list[list[str]]:
    """The cells of a markdown table's lines, without its head."""
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in table.splitlines()[2:]]


def run(contender: str, seed: int, iterations: int = 5, **metrics: float) -> dict:
    """What is kept of one training."""
    return dict(contender=contender, seed=seed, config='x', iterations=iterations,
                metrics={key.replace('multi_label', 'multi-label').replace('__', '/'): value
                         for key, value in metrics.items()})


def read_shapes(root: Path) -> SourceData:
    """The synthetic set as a source, its validation part for the test part."""
    images: list[SourceImage] = []
    for part, name in (('train', 'train'), ('test', 'val')):
        coco = json.loads((root / f'annotations/instances_{name}.json').read_text())
        classes = {c['id']: place for place, c in enumerate(coco['categories'])}
        for image in coco['images']:
            boxes = tuple(Box(classes[a['category_id']], *a['bbox'])
                          for a in coco['annotations'] if a['image_id'] == image['id'])
            file = image['file_name']
            images.append(SourceImage(root / name / file, f'{name}/{file}', image['width'],
                                      image['height'], boxes, None, part=part))
    names = tuple(category['name'] for category in coco['categories'])
    return SourceData('coco', root, names, tuple(images))


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    """Twenty synthetic images and six to test with, at half their size."""
    folder = tmp_path_factory.mktemp('data')
    make_shapes(folder / 'shapes', FEW)
    for part in ('train', 'test'):
        shrink(read_shapes(folder / 'shapes'), part, folder / 'small', 64)
    return folder / 'small'


def test_images_shrink_with_their_boxes_in_the_order_of_their_names(tmp_path):
    for name, shape in dict(b=(40, 80, 3), a=(100, 50, 3)).items():
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full(shape, 90, np.uint8))
    wide = SourceImage(tmp_path / 'b.png', 'b.png', 80, 40, (Box(0, 8, 4, 40, 20), ), None,
                       part='train')
    high = SourceImage(tmp_path / 'a.png', 'a.png', 50, 100, (Box(1, 0, 50, 50, 50, True), ), None,
                       part='train')
    source = SourceData('voc', tmp_path, ('dog', 'cat'), (wide, high))
    shrink(source, 'train', tmp_path / 'out', 20)
    small = json.loads((tmp_path / 'out/annotations/instances_train.json').read_text())
    assert small['images'] == [dict(id=1, file_name='a.jpg', width=10, height=20),
                               dict(id=2, file_name='b.jpg', width=20, height=10)]
    assert [(a['image_id'], a['category_id'], a['bbox'], a['area'], a['iscrowd'])
            for a in small['annotations']] == [(1, 1, [0, 10, 10, 10], 100, 1),
                                               (2, 2, [2, 1, 10, 5], 50, 0)]
    assert classes_of(tmp_path / 'out') == ('cat', 'dog')
    assert cv2.imread(str(tmp_path / 'out/train/a.jpg')).shape == (20, 10, 3)
    with pytest.raises(ValueError, match="the part 'test' needs images"):
        shrink(source, 'test', tmp_path / 'out', 20)
    twice = dataclasses.replace(source, images=(wide, wide))
    with pytest.raises(ValueError, match='each of its own name'):
        shrink(twice, 'train', tmp_path / 'out', 20)


def test_the_backbones_have_equal_multiply_adds():
    found = costs(192, 256)
    check_equal(found)
    found['resnet']['multiply_adds'] *= 1.05
    with pytest.raises(RuntimeError, match='differ by more than 2%'):
        check_equal(found)


@pytest.mark.parametrize('experiment', [bccd.COMPARISON, cards.COMPARISON])
def test_contenders_differ_in_their_backbone_alone(experiment, data):
    configs = experiment.contenders(data)
    assert len(configs) == 2 * len(experiment.models)
    for name, cfg in configs.items():
        if name.endswith('_tresnet'):
            other = configs[name.replace('_tresnet', '_resnet')].to_dict()
            mine = cfg.to_dict()
            for settings, backbone in ((mine, 'TResNet'), (other, 'mmdet.ResNet')):
                model = settings['model']
                part = model.get('detector', model)
                assert part.pop('backbone')['type'] == backbone
                part.get('neck', {}).pop('in_channels', None)
                for head in ('head', 'image_head'):
                    model.get(head, {}).pop('in_channels', None)
            assert mine == other


def with_data(folder: Path, **settings: float) -> Config:
    """A config of labels that lie in a folder."""
    folder.mkdir(exist_ok=True)
    (folder / 'labels').write_text('labels')
    loader = dict(dataset=dict(data_root=f'{folder}/', ann_file='labels'))
    return Config(dict(train_dataloader=loader, test_dataloader=loader, **settings))


def test_results_are_kept_and_not_trained_again(tmp_path, monkeypatch):
    trained = []

    def train(self, runs, jobs):
        for entry in runs:
            trained.append((entry['contender'], entry['seed']))
            yield entry, dict(metrics=dict(mAP=0.5), iterations=3, seconds=1.0)

    monkeypatch.setattr(Trainings, '_train', train)
    configs = dict(a=with_data(tmp_path / 'here', lr=1), b=with_data(tmp_path / 'here', lr=2))
    first = Trainings('some', configs, [0], tmp_path, dict(side=5)).run()
    again = Trainings('some', configs, [0, 1], tmp_path, dict(side=5)).run()
    assert trained == [('a', 0), ('b', 0), ('a', 1), ('b', 1)] and again[:2] == first
    configs['a'] = with_data(tmp_path / 'there', lr=1)
    Trainings('some', configs, [0, 1], tmp_path).run()
    assert len(trained) == 4  # the place of the data is no part of a training
    configs['a'] = with_data(tmp_path / 'there', lr=3)
    Trainings('some', configs, [0], tmp_path).run()
    assert trained[4:] == [('a', 0)]
    (tmp_path / 'there/labels').write_text('others')
    Trainings('some', configs, [0], tmp_path).run()
    assert trained[5:] == [('a', 0)]
    kept = json.loads((tmp_path / 'some.json').read_text())
    assert kept['environment']['versions']['torch']
    # of 'a', what is of its settings now; of 'b', both seeds
    assert sorted((entry['contender'], entry['seed']) for entry in kept['runs']) == [
        ('a', 0), ('b', 0), ('b', 1)]


def test_fingerprints_are_of_the_values():
    assert fingerprint(Config(dict(a=1, b=[2]))) == fingerprint(Config(dict(b=[2], a=1)))
    assert fingerprint(Config(dict(a=1))) != fingerprint(Config(dict(a=2)))


def test_unequal_budgets_are_refused():
    check_equal_budgets([run('a', 0), run('b', 0)])
    with pytest.raises(RunError, match=r'unequal iterations: \[4, 5\]'):
        check_equal_budgets([run('a', 0), run('b', 0, iterations=4)])


def labels(file: Path) -> np.ndarray:
    """The cells of a table of labels."""
    with open(file) as lines:
        return np.array([row[1:] for row in list(csv.reader(lines))[1:]], dtype=int)


def test_hidden_labels_are_the_same_for_every_loss(data):
    full = labels(data / cards_losses.write_labels(data, 0, known=True))
    assert set(np.unique(full)) == {0, 1}
    hidden = {}
    for percent in (25, 60):
        known = labels(data / cards_losses.write_labels(data, percent, known=True))
        negative = labels(data / cards_losses.write_labels(data, percent, known=False))
        hidden[percent] = known == -1
        assert hidden[percent].sum() == full.size * percent / 100
        assert (np.where(hidden[percent], full, known) == full).all()
        assert (np.where(hidden[percent], 0, known) == negative).all()
    assert hidden[60][hidden[25]].all()


def test_losses_differ_in_the_loss_alone(data):
    configs = cards_losses.contenders(data)
    assert len(configs) == 6 * 3 + 2 and 'asl_known_0' not in configs
    for name, cfg in configs.items():
        loss, _, percent = name.rpartition('_')
        settings = cfg.to_dict()
        assert settings['model']['head'].pop('loss')['reduction'] == 'mean'
        file = settings['train_dataloader']['dataset'].pop('ann_file')
        known = 'unknown' if cards_losses.LOSSES[loss][2] else 'negative'
        assert file == f'annotations/labels_train_{percent}_{known}.csv'
        configs[name] = settings
    assert all(settings == configs['asl_0'] for settings in configs.values())


def test_parts_of_the_data_lie_in_each_other_and_cost_the_same(data):
    configs = learning_curve.contenders(data, epochs=4)
    files = {}
    for percent, cfg in zip((25, 50), configs.values(), strict=True):
        lines = (data / cfg.train_dataloader.dataset.ann_file).read_text().splitlines()
        assert lines[0] == 'img_path,' + ','.join(classes_of(data))
        files[percent] = set(lines[1:])
        assert cfg.train_cfg.max_iters == 3 * 4  # twenty images in batches of eight
    assert len(files[25]) == 5 and len(files[50]) == 10 and files[25] < files[50]


def test_trials_of_image_heads_change_what_they_say(data):
    plain, *others, _, _ = joint_heads.contenders(data).values()
    before = plain.to_dict()
    for changes, cfg in zip(list(joint_heads.TRIALS.values())[1:], others, strict=True):
        after = cfg.to_dict()
        assert {key for key in after['model'] if after['model'][key] != before['model'].get(key)
                } == set(changes)
        assert after['test_evaluator'][:2] == before['test_evaluator'][:2]
    rows = labels(data / joint_heads.write_labels(data, 'train'))
    assert len(rows) == 20 and set(np.unique(rows)) == {0, 1}


def test_data_annotated_in_part(data):
    configs = cards_partly.contenders(data, epochs=4)
    no_boxes, no_labels = cards_partly.lacking(20)
    assert len(no_boxes) == len(no_labels) == 5 and not no_boxes & no_labels
    assert {cfg.train_cfg.max_iters for cfg in configs.values()} == {3 * 4}
    whole = json.loads((data / 'annotations/instances_train.json').read_text())
    lost = {whole['images'][place]['id'] for place in no_boxes}
    for name, images in dict(detector=15, joint=20).items():
        coco = json.loads(
            (data / configs[name].train_dataloader.dataset.ann_file).read_text())
        assert len(coco['images']) == images
        assert coco['annotations'] == [a for a in whole['annotations'] if a['image_id'] not in lost]
    table = configs['classifier'].train_dataloader.dataset.ann_file
    assert configs['joint'].train_dataloader.dataset.image_labels == {'cards': table}
    listed = [line.split(',')[0] for line in (data / table).read_text().splitlines()[1:]]
    assert listed == [image['file_name'] for place, image in enumerate(whole['images'])
                      if place not in no_labels]


def test_every_kind_of_label_score_from_one_test():
    metric = LabelScoresMetric(fields=['other'])
    rows = [([0.9, 0.2], [0.1, 0.3], [1, 0], {0: 0.4}), ([0.6, 0.8], [0.2, 0.1], [0, 1], {1: 0.1}),
            ([0.7, 0.9], [0.3, 0.2], [1, 0], {0: 0.3, 1: 0.2})]
    for head, other, target, boxes in rows:
        metric.process({}, [dict(
            pred_scores=torch.tensor(head), gt_labels=torch.tensor(target),
            other=dict(pred_scores=torch.tensor(other)),
            pred_instances=dict(labels=torch.tensor([*boxes, 0]),
                                scores=torch.tensor([*boxes.values(), 0.0])))])
    heads, others, targets, _ = (np.array(column, dtype=object) for column in
                                 zip(*rows, strict=True))
    heads, others, targets = (np.array(x.tolist()) for x in (heads, others, targets))
    boxes = np.array([[row[3].get(0, 0), row[3].get(1, 0)] for row in rows])

    def expected(scores):
        return 100 * np.mean([average_precision_score(targets[:, c], scores[:, c])
                              for c in range(2)])
    found = metric.evaluate(size=3)
    for name, scores in dict(head=heads, boxes=boxes, mean=heads + boxes, head_other=others,
                             geometric=heads * boxes).items():
        assert found[f'labels/{name}'] == pytest.approx(expected(scores)), name
    assert found['labels/said'] == pytest.approx(5 / 3) and found['labels/true'] == 1


def test_tables(tmp_path):
    runs = [run('fcos_tresnet', seed, coco__bbox_mAP=value, coco__bbox_mAP_50=0.7)
            for seed, value in enumerate((0.40, 0.42, 0.44))]
    assert cells(bccd.COMPARISON.table(runs))[:2] == [
        ['FCOS', 'TResNet', '42.0 ± 2.0', '70.0 ± 0.0', '-', '0, 1, 2'],
        ['FCOS', 'ResNet-18, narrow', '-', '-', '-', '-']]
    whole = [run('asl_0', seed, multi_label__mAP=40.0 + seed) for seed in range(3)]
    (tmp_path / 'cards_losses.json').write_text(json.dumps(dict(runs=whole)))
    part = [run('25 %', seed, multi_label__mAP=30.0) for seed in range(2)]
    assert cells(learning_curve.table(part, tmp_path)) == [
        ['25 %', '30.0 ± 0.0'], ['50 %', '-'], ['100 %', '40.5 ± 0.7']]
    joint = [run('joint_resnet', 0, coco__bbox_mAP=0.25, multi_label__mAP=44.44, labels__mean=50)]
    assert cells(cards.COMPARISON.table(joint))[7] == [
        'joint model', 'ResNet-18, narrow', '25.0', '-', '44.4', '-', '50.0', '0']
    hidden = [run('asl_25', seed, multi_label__mAP=40.0 + seed) for seed in range(2)]
    assert cells(cards_losses.table(hidden))[0] == ['ASL (4, 0, 0.05)', '-', '40.5 ± 0.7', '-']


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    'fcos', 'retinanet', 'atss', 'classifier', 'joint_linear', 'joint'])
def test_one_epoch_of_each_model(name, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for backbone in BACKBONES:
        cfg = load_config(name, data, classes_of(data), epochs=1)
        use_backbone(cfg, backbone)
        cfg.work_dir = str(tmp_path / backbone)
        cfg.randomness = dict(seed=0)
        result = train_and_test(cfg.to_dict())
        assert result['iterations'] == 3 and result['images'] == 24
        expected = dict(classifier={'multi-label'}, joint_linear={'coco', 'multi-label'},
                        joint={'coco', 'multi-label', 'labels'})
        assert {key.split('/')[0] for key in result['metrics']} == expected.get(name, {'coco'})


@pytest.mark.slow
def test_one_epoch_of_a_joint_model_annotated_in_part(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = cards_partly.contenders(data, epochs=1)['joint']
    cfg.work_dir, cfg.randomness = str(tmp_path), dict(seed=0)
    result = train_and_test(cfg.to_dict())
    assert result['iterations'] == 3
    assert {'coco/bbox_mAP', 'cards/mAP', 'labels/mean'} <= result['metrics'].keys()


@pytest.mark.slow
def test_a_training_in_its_own_process(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = load_config('classifier', data.resolve(), classes_of(data), epochs=1)
    [result] = Trainings('one', dict(good=cfg), [4], tmp_path).run()
    assert 0 < result['metrics']['multi-label/mAP'] < 100 and result['seed'] == 4
    cfg.model.head.num_classes = 5
    with pytest.raises(RunError, match='one: bad, seed 0: ValueError: .*num_classes=5'):
        Trainings('one', dict(bad=cfg), [0], tmp_path).run()
