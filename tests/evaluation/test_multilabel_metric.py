"""The multi-label measures against the published helper, scikit-learn, and their definition."""
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement

from tresnet_mm.evaluation import (
    DumpMultiLabelScores,
    MultiLabelMetric,
    average_precision,
    multilabel_scores,
    precision_recall_f1,
)
from tresnet_mm.evaluation.multilabel_metric import with_and_without
from tresnet_mm.evaluation.multilabel_scores import class_table


def random_set(images=60, classes=7, unknown=0.0, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.random((images, classes)).astype(np.float32)
    if ties:
        scores = np.round(scores, 1)
    targets = (rng.random((images, classes)) < 0.3).astype(np.int8)
    targets[rng.random(targets.shape) < unknown] = -1
    return scores, targets


@pytest.fixture
def golden(golden_dir):
    data = np.load(golden_dir / 'multilabel_metric.npz')
    return data, json.loads(str(data['meta']))


def test_published_helper(golden):
    data, meta = golden
    expected = meta['results']
    result = multilabel_scores(data['scores'], data['targets'], meta['threshold'],
                               empty_classes='zero')
    for ours, theirs in dict(mAP='mAP_all_classes', CP='CP', CR='CR', OP='OP', OR='OR', OF1='OF1',
                             CF1_per_class='CF1_mean_of_class_f1', CP_top3='top3_CP',
                             CR_top3='top3_CR', OP_top3='top3_OP', OR_top3='top3_OR').items():
        assert result[ours] == pytest.approx(expected[theirs], rel=1e-8), ours
    ap = 100 * np.nan_to_num(average_precision(data['scores'], data['targets']))
    np.testing.assert_allclose(ap, data['ap'], rtol=1e-8)
    assert result['CF1'] == pytest.approx(2 / (1 / expected['CP'] + 1 / expected['CR']))


def test_classes_without_positives_are_left_out_by_default(golden):
    data, meta = golden
    assert not data['targets'][:, -1].any() and data['targets'][:, :-1].any(0).all()
    result = multilabel_scores(data['scores'], data['targets'], meta['threshold'])
    without = multilabel_scores(data['scores'][:, :-1], data['targets'][:, :-1],
                                meta['threshold'])
    for name in ('mAP', 'CP', 'CR', 'CF1', 'CF1_per_class', 'OR'):
        assert result[name] == pytest.approx(without[name]), name
    assert result['OP'] < without['OP']  # false alarms of the empty class


@pytest.mark.parametrize('ties', [False, True])
def test_scikit_learn(ties):
    sk = pytest.importorskip('sklearn.metrics')
    scores, targets = random_set(ties=ties)
    np.testing.assert_allclose(average_precision(scores, targets),
                               sk.average_precision_score(targets, scores, average=None))
    predicted = scores > 0.6
    ours = precision_recall_f1(predicted, targets)
    for average, prefix in [('macro', 'C'), ('micro', 'O')]:
        p, r, f, _ = sk.precision_recall_fscore_support(targets, predicted, average=average,
                                                        zero_division=0)
        f1 = ours['CF1_per_class'] if average == 'macro' else ours['OF1']
        np.testing.assert_allclose([ours[f'{prefix}P'], ours[f'{prefix}R'], f1],
                                   100 * np.array([p, r, f]))


def test_average_precision_by_definition():
    scores = np.array([[0.9], [0.8], [0.7], [0.6]], dtype=np.float32)
    targets = np.array([[1], [0], [1], [0]])
    assert average_precision(scores, targets)[0] == pytest.approx((1 / 1 + 2 / 3) / 2)
    # equal scores come together: both positives at precision 2 / 4
    assert average_precision(np.zeros_like(scores), targets)[0] == pytest.approx(0.5)


def test_order_of_images_does_not_matter_with_ties():
    scores, targets = random_set(ties=True)
    shuffled = np.random.default_rng(1).permutation(len(scores))
    assert multilabel_scores(scores, targets) == pytest.approx(
        multilabel_scores(scores[shuffled], targets[shuffled]))


def test_unknown_labels_are_as_if_absent():
    scores, targets = random_set(unknown=0.3)
    ap = average_precision(scores, targets)
    predicted = scores > 0.5
    precisions = []
    for c in range(scores.shape[1]):
        known = targets[:, c] != -1
        one = average_precision(scores[known, c:c + 1], targets[known, c:c + 1])
        assert ap[c] == pytest.approx(one[0])
        precisions.append((targets[known & predicted[:, c], c] == 1).mean())
    assert precision_recall_f1(predicted, targets)['CP'] == pytest.approx(
        100 * np.mean(precisions))


def test_top_k_predicts_exactly_k():
    scores, targets = random_set(ties=True)
    result = multilabel_scores(scores, targets, top_k=2)
    hits = sum(t[np.argsort(-s, kind='stable')[:2]].sum()
               for s, t in zip(scores, targets, strict=True))
    assert result['OP_top2'] == pytest.approx(100 * hits / (2 * len(scores)))
    assert result['OR_top2'] == pytest.approx(100 * hits / targets.sum())
    everything = multilabel_scores(scores, targets, top_k=50)
    assert everything['OR_top50'] == 100
    assert 'OP_top3' not in result and not any('top' in k for k in multilabel_scores(
        scores, targets, top_k=None))


def test_nothing_predicted_and_nothing_there():
    scores, targets = np.zeros((4, 3), np.float32), np.zeros((4, 3), int)
    targets[0, 0] = 1
    result = multilabel_scores(scores, targets, top_k=None)
    assert result['CP'] == result['CF1'] == result['OF1'] == 0
    nothing = multilabel_scores(scores, np.zeros_like(targets))
    assert np.isnan(nothing['mAP']) and nothing['OR'] == 0


@pytest.mark.parametrize('scores, targets, kwargs, message', [
    (np.zeros((2, 3)), np.zeros((2, 4)), {}, r'got \(2, 3\) and \(2, 4\)'),
    (np.full((2, 3), np.nan), np.zeros((2, 3)), {}, '2 of 2 images have NaN scores'),
    (np.zeros((2, 3)), np.full((2, 3), 0.5), {}, r'1 \(present\), 0 \(absent\) or -1'),
    (np.zeros((2, 3)), np.zeros((2, 3)), dict(empty_classes='drop'), "'skip' or 'zero'"),
    (np.zeros((2, 3)), np.zeros((2, 3)), dict(thresholds=[0.5, 0.5]), '2 values.*3 classes'),
])
def test_wrong_input(scores, targets, kwargs, message):
    with pytest.raises(ValueError, match=message):
        multilabel_scores(scores, targets, **kwargs)


def data_samples(scores, targets):
    return [BaseDataElement(metainfo=dict(img_path=f'{i}.jpg'), pred_scores=torch.from_numpy(s),
                            gt_labels=torch.from_numpy(t).float())
            for i, (s, t) in enumerate(zip(scores, targets, strict=True))]


def evaluate(metric, samples, classes=None, batch=16):
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = dict(classes=classes)
    for i in range(0, len(samples), batch):
        evaluator.process(samples[i:i + batch])
    return evaluator.evaluate(len(samples))


def test_metric_class_gives_the_function(caplog):
    scores, targets = random_set(unknown=0.1)
    result = evaluate(MultiLabelMetric(thresholds=0.4, top_k=2), data_samples(scores, targets),
                      classes=list('abcdefg'))
    expected = multilabel_scores(scores, targets, 0.4, top_k=2)
    assert result == pytest.approx({f'multi-label/{k}': v for k, v in expected.items()})


def test_images_without_labels_can_be_left_out():
    scores, targets = random_set()
    targets[::3] = 0
    result = evaluate(MultiLabelMetric(skip_unlabelled=True), data_samples(scores, targets))
    labelled = targets.any(1)
    expected = multilabel_scores(scores[labelled], targets[labelled])
    assert result['multi-label/OP'] == pytest.approx(expected['OP'])
    assert result['multi-label/OP'] != multilabel_scores(scores, targets)['OP']


def test_log_names_empty_classes_and_lists_all(monkeypatch):
    lines = []
    monkeypatch.setattr('tresnet_mm.evaluation.multilabel_metric.print_log',
                        lambda message, **kwargs: lines.append(message))
    scores, targets = random_set(classes=3, unknown=0.1)
    targets[:, 1] = 0
    evaluate(MultiLabelMetric(), data_samples(scores, targets), classes=['ant', 'bee', 'cat'])
    table, note = lines
    ap = 100 * average_precision(scores, targets)
    rows = {line.split()[0]: line.split() for line in table.splitlines()[2:]}
    assert list(rows) == ['ant', 'bee', 'cat']
    assert float(rows['ant'][2]) == pytest.approx(ap[0], abs=0.05)
    assert int(rows['cat'][1]) == (targets[:, 2] == 1).sum()
    hits = ((scores > 0.5) & (targets == 1)).sum(0)
    for c, name in ((0, 'ant'), (2, 'cat')):
        assert [float(value) for value in rows[name][3:]] == pytest.approx(
            [100 * hits[c] / ((scores[:, c] > 0.5) & (targets[:, c] != -1)).sum(),
             100 * hits[c] / (targets[:, c] == 1).sum()], abs=0.05)
    assert '1 of 3 classes' in note and 'left out' in note and note.endswith('bee')


@pytest.mark.parametrize(('count', 'listed', 'more'), [(10, 10, False), (11, 10, True)])
def test_ten_names_are_listed_at_most(count, listed, more, monkeypatch):
    notes = []
    monkeypatch.setattr('tresnet_mm.evaluation.multilabel_metric.print_log',
                        lambda message, logger: notes.append((message, logger)))
    scores, targets = random_set(classes=count + 1)
    targets[:, 1:] = 0
    classes = [f'class{c}' for c in range(count + 1)]
    evaluate(MultiLabelMetric(classwise=False), data_samples(scores, targets), classes)
    end = ', ...' if more else ''
    ((note, logger),) = notes
    assert note.endswith(f': {", ".join(classes[1:listed + 1])}{end}')
    assert logger == 'current'  # the run's log file has it
    scores[:count, 0] = np.nan
    names = ', '.join(f'{i}.jpg' for i in range(listed))
    with pytest.raises(ValueError) as caught:
        evaluate(MultiLabelMetric(), data_samples(scores, targets), classes)
    assert str(caught.value).endswith(f'NaN scores: {names}{end}')


def test_scores_and_targets_may_be_numpys():
    scores, targets = random_set()
    samples = [dict(pred_scores=s, gt_labels=t) for s, t in zip(scores, targets, strict=True)]
    metric = MultiLabelMetric(classwise=False)
    metric.process({}, samples)
    expected = multilabel_scores(scores, targets)
    assert metric.evaluate(len(samples)) == pytest.approx(
        {f'multi-label/{key}': value for key, value in expected.items()})


def test_ap_of_each_class_is_a_group_of_its_own():
    scores, targets = random_set(classes=4)
    targets[:, 1] = 0
    classes = ('cat', 'eel', 'AP/odd', 'd')
    samples = data_samples(scores, targets)
    plain = evaluate(MultiLabelMetric(), samples, classes)
    result = evaluate(MultiLabelMetric(class_scalars=True), samples, classes)
    ap = 100 * average_precision(scores.astype(np.float32), targets)
    assert {key: result[key] for key in plain} == plain
    assert {key: value for key, value in result.items() if key not in plain} == {
        'multi-label_AP/cat': ap[0], 'multi-label_AP/AP/odd': ap[2], 'multi-label_AP/d': ap[3]}
    result = evaluate(MultiLabelMetric(class_scalars=True, prefix='val'), samples, classes)
    assert result['val_AP/cat'] == ap[0]


def test_memory_is_one_float_and_one_byte_a_label():
    metric = MultiLabelMetric()
    scores, targets = random_set()
    metric.process({}, [s.to_dict() for s in data_samples(scores, targets)])
    assert sum(s.nbytes + t.nbytes for s, t, _ in metric.results) == 5 * scores.size
    assert not any(isinstance(v, torch.Tensor) for row in metric.results for v in row)


@pytest.mark.parametrize('sample, message', [
    (dict(pred_scores=torch.zeros(3)), '7.jpg has no gt_labels'),
    (dict(gt_labels=torch.zeros(3)), '7.jpg has no pred_scores'),
    (dict(pred_scores=torch.zeros(3), gt_labels=torch.zeros(4)), '3 pred_scores, but 4 gt_labels'),
    (dict(pred_scores=torch.zeros(3), gt_labels=torch.full((3, ), .5)), 'gt_labels of 7.jpg'),
])
def test_wrong_samples(sample, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelMetric().process({}, [dict(sample, img_path='7.jpg')])


@pytest.mark.parametrize('options', [{}, dict(skip_unlabelled=True), dict(out_file='a.npz')])
def test_images_with_nan_scores_are_named(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metric = (DumpMultiLabelScores if 'out_file' in options else MultiLabelMetric)(**options)
    scores, targets = random_set()
    targets[0] = 0  # an image without labels does not shift the names
    scores[[3, 6], [1, 2]] = np.nan
    match = rf'2 of {len(scores)} images have NaN scores: 3.jpg, 6.jpg$'
    with pytest.raises(ValueError, match=match):
        evaluate(metric, data_samples(scores, targets))
    assert not list(tmp_path.iterdir())


def test_class_count_of_dataset_and_model_must_agree():
    with pytest.raises(ValueError, match='7 scores per image, but the dataset has 3 classes'):
        evaluate(MultiLabelMetric(), data_samples(*random_set()), classes=list('abc'))


def test_empty_dataset_is_an_error():
    with pytest.raises(ValueError, match='no image was evaluated'):
        MultiLabelMetric().compute_metrics([])


def test_dump_holds_scores_targets_and_names(tmp_path):
    scores, targets = random_set(unknown=0.1)
    path = tmp_path / 'new' / 'scores.npz'
    evaluate(DumpMultiLabelScores(str(path)), data_samples(scores, targets),
             classes=list('abcdefg'))
    with np.load(path) as data:
        np.testing.assert_array_equal(data['scores'], scores)
        np.testing.assert_array_equal(data['targets'], targets)
        assert data['classes'].tolist() == list('abcdefg')
        assert data['images'].tolist() == [f'{i}.jpg' for i in range(len(scores))]
    with pytest.raises(ValueError, match=r"\.npz file, got 'scores.pkl'"):
        DumpMultiLabelScores('scores.pkl')


def test_dump_of_one_label_an_image(tmp_path):
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 4).astype(np.float32)
    samples = [dict(pred_scores=torch.tensor(row), gt_label=torch.tensor([label]), img_path=str(i))
               for i, (row, label) in enumerate(zip(scores, (2, 0, 0, 1), strict=True))]
    evaluate(DumpMultiLabelScores(str(tmp_path / 's.npz')), samples)
    with np.load(tmp_path / 's.npz') as data:
        np.testing.assert_array_equal(data['scores'], scores)
        assert data['targets'].tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match='0 has the label 3, and 3 pred_scores'):
        DumpMultiLabelScores('s.npz').process({}, [dict(samples[0], gt_label=torch.tensor([3]))])


WORKER = """
import json, os, sys
import numpy as np, torch
from mmengine.dist import get_rank
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from tresnet_mm.evaluation import MultiLabelMetric

torch.distributed.init_process_group('gloo')
data = np.load(sys.argv[1])
rows = list(zip(data['scores'], data['targets']))
evaluator = Evaluator([MultiLabelMetric(classwise=False)])
sampler = DefaultSampler(rows, shuffle=False)
loader = torch.utils.data.DataLoader(rows, batch_size=2, sampler=sampler, collate_fn=list)
for batch in loader:
    evaluator.process([dict(pred_scores=s, gt_labels=t) for s, t in batch])
result = evaluator.evaluate(len(rows))
if get_rank() == 0:
    with open(sys.argv[2], 'w') as file:
        json.dump(result, file)
os._exit(0)  # taking a group of gloo down aborts at times
"""


@pytest.mark.reliability(
    done='multi-label measures over two processes, 11 images',
    happens='those of one process; the repeated image does not count')
@pytest.mark.parametrize('images', [11])  # odd: a sampler of two ranks repeats one image
def test_two_processes_give_the_result_of_one(tmp_path, repo_root, images):
    scores, targets = random_set(images)
    np.savez(tmp_path / 'data.npz', scores=scores, targets=targets)
    (tmp_path / 'worker.py').write_text(WORKER)
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
    env = dict(os.environ, WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
               PYTHONPATH=f'{repo_root}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
    workers = [subprocess.Popen([sys.executable, 'worker.py', 'data.npz', 'result.json'],
                                cwd=tmp_path, env=dict(env, RANK=str(r), LOCAL_RANK=str(r)))
               for r in range(2)]
    assert [w.wait(timeout=120) for w in workers] == [0, 0]
    result = json.loads((tmp_path / 'result.json').read_text())
    expected = multilabel_scores(scores, targets)
    assert result == pytest.approx({f'multi-label/{k}': v for k, v in expected.items()}, rel=1e-12)
    wrong = multilabel_scores(np.append(scores, scores[:1], 0), np.append(targets, targets[:1], 0))
    assert wrong['mAP'] != pytest.approx(expected['mAP'])  # counting the repeated one would show


def test_a_calibrated_model_is_measured_with_and_without():
    raw = np.array([[0.9, 0.9], [0.8, 0.2], [0.7, 0.6], [0.6, 0.1]], dtype=np.float32)
    scores, targets = raw / 2, np.array([[1, 0], [0, 0], [1, 1], [0, 0]], dtype=np.int8)
    labels = [[0, 1], [], [0, 1], []]
    samples = data_samples(scores, targets)
    for sample, row, own in zip(samples, raw, labels, strict=True):
        sample.raw_scores = torch.tensor(row)
        sample.pred_labels = torch.tensor(own, dtype=torch.int64)
    plain = evaluate(MultiLabelMetric(top_k=None), data_samples(raw, targets), ('a', 'b'))
    found = evaluate(MultiLabelMetric(top_k=None), samples, ('a', 'b'))
    for name in ('CP', 'CR', 'CF1', 'CF1_per_class', 'OP', 'OR', 'OF1'):
        key = f'multi-label/{name}'
        assert found[f'{key}_uncalibrated'] == pytest.approx(plain[key])
    assert found['multi-label/mAP'] == pytest.approx(plain['multi-label/mAP'])
    assert found['multi-label/OP_fitted'] == 75 and found['multi-label/OR_fitted'] == 100
    # every score is in a bin of its own but 0.6 (twice) and 0.9; halved, 0.45 and 0.4 share one
    by_hand = [abs(p - t) for p, t in zip(raw.ravel(), targets.ravel(), strict=True)
               if p not in np.float32([0.6, 0.9])]
    by_hand += [2 * abs(0.9 - 0.5), 2 * abs(0.6 - 0.5)]
    assert found['multi-label/ECE_uncalibrated'] == pytest.approx(100 * sum(by_hand) / 8)
    by_hand = [abs(p - t) for p, t in zip(scores.ravel(), targets.ravel(), strict=True)
               if p not in np.float32([0.3, 0.4, 0.45])]
    by_hand += [abs(0.45 + 0.45 + 0.4 - 1), 2 * abs(0.3 - 0.5)]
    assert found['multi-label/ECE'] == pytest.approx(100 * sum(by_hand) / 8)
    assert not any('ECE' in key for key in plain)


@pytest.mark.parametrize('classes', [('a', 'b'), ('a', )])
def test_without_thresholds_of_its_own_a_calibrated_model_has_no_fitted_measures(classes):
    scores, targets = random_set(6, len(classes))
    samples = data_samples(scores, targets)
    for sample, row in zip(samples, scores, strict=True):
        sample.raw_scores = torch.tensor(row)
    found = evaluate(MultiLabelMetric(top_k=None), samples, classes)
    assert found['multi-label/ECE'] == found['multi-label/ECE_uncalibrated']
    assert found['multi-label/CF1'] == found['multi-label/CF1_uncalibrated']
    assert not [name for name in found if name.endswith('_fitted')]


def test_a_score_at_its_threshold_is_not_predicted():
    scores, targets = np.array([[0.5], [0.6]], dtype=np.float32), np.array([[0], [1]])
    found = with_and_without(scores, scores, np.zeros((2, 0), bool), targets, np.array([0.5]))
    assert found['OP_uncalibrated'] == found['OR_uncalibrated'] == 100
    assert multilabel_scores(scores, targets, 0.5)['OP'] == 100
    assert class_table(scores, targets, ['cat'], np.array([0.5])).split()[-4:] == [
        '1', '100.0', '100.0', '100.0']


def test_of_equal_scores_the_first_classes_are_the_top_ones():
    scores, targets = np.full((1, 40), 0.5, dtype=np.float32), np.zeros((1, 40), dtype=np.int8)
    targets[0, :3] = 1
    assert multilabel_scores(scores, targets, 0.9, top_k=3)['OP_top3'] == 100


def test_an_image_without_the_field_keeps_its_place():
    """So that those of several processes can be put in order again."""
    metric = MultiLabelMetric(field='weather')
    whole = dict(weather=dict(pred_scores=torch.tensor([0.5]), gt_labels=torch.tensor([1])))
    metric.process(None, [dict(weather=dict(pred_scores=torch.tensor([0.5]))), whole])
    assert metric.results[0] is None and len(metric.results) == 2
