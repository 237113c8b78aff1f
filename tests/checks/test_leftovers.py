"""What a base config leaves behind."""

import pytest
from mmengine.config import Config

from tresnet_mm.checks.leftovers import accepted


def test_delete_was_forgotten(own, problems):
    cfg = own()
    cfg.model.backbone.update(depth=50, num_stages=4, style='pytorch')
    found = problems(cfg)
    assert list(found) == ['model.backbone.depth'], 'once, not again by building it'
    problem = found['model.backbone.depth']
    assert 'depth, num_stages, style' in problem.what and '_delete_=True' in problem.right


def test_delete_was_forgotten_in_a_loss(own, problems):
    cfg = own()
    cfg.model.bbox_head.loss_cls.update(type='AsymmetricFocalLoss', gamma_pos=1.0, gamma_neg=2.0)
    assert list(problems(cfg)) == ['model.bbox_head.loss_cls.gamma']


def test_a_model_that_cannot_be_built(own, problems):
    found = problems(own(options={'model.bbox_head.norm_cfg.type': 'NoSuchNorm'}))
    assert 'cannot be built' in found['model'].what


@pytest.mark.parametrize(('options', 'key', 'right'), [
    ({'mean': [123.675, 116.28, 103.53]}, 'mean', '[0, 0, 0]'),
    ({'std': [58.395, 57.12, 57.375]}, 'std', '[255, 255, 255]'),
    ({'bgr_to_rgb': False}, 'bgr_to_rgb', 'True')])
def test_the_input_of_a_resnet(own, problems, options, key, right):
    cfg = own()
    cfg.model.data_preprocessor.update(options)
    where = f'model.data_preprocessor.{key}'
    assert problems(cfg, severity='note')[where].right == right
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='tresnet://m_in1k')
    assert problems(cfg)[where].right == right


@pytest.mark.parametrize('source', [
    'https://download.openmmlab.com/mmdetection/v2.0/fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.pth',
    'torchvision://resnet50', 'open-mmlab://detectron2/resnet101_caffe',
    'http://example.org/retinanet_x101_64x4d.pth'])
def test_the_weights_of_a_resnet(own, problems, source):
    cfg = own(options={'load_from': source})
    assert 'TResNet' in problems(cfg)['load_from'].what
    cfg = own()
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=source)
    assert 'tresnet://' in problems(cfg)['model.backbone.init_cfg.checkpoint'].right
    cfg.model.backbone = dict(type='ResNet', depth=18, init_cfg=cfg.model.backbone.init_cfg)
    assert 'model.backbone.init_cfg.checkpoint' not in problems(cfg)


@pytest.mark.parametrize('source', ['tresnet://m_in1k', 'fcos_tresnet_m_r1_50.pth', 'epoch_50.pth'])
def test_other_weights_are_left_alone(own, problems, source):
    cfg = own()
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=source)
    assert problems(cfg) == {}


def test_everything_is_frozen(own, problems):
    cfg = own(options={'optim_wrapper.optimizer.lr': 0})
    assert 'nothing is learned' in problems(cfg)['optim_wrapper.optimizer.lr'].what


def test_no_parameter_is_left_to_learn(own, problems, monkeypatch):
    from tresnet_mm.models import MultiLabelClassifier
    train = MultiLabelClassifier.train

    def frozen(self, mode=True):
        return train(self, mode).requires_grad_(False)

    monkeypatch.setattr(MultiLabelClassifier, 'train', frozen)
    assert 'frozen' in problems(own('multilabel_tresnet_tiny_shapes'))['model'].what


def test_frozen_stages_at_their_random_start(own, problems):
    cfg = own(options={'model.backbone.frozen_stages': 1})
    assert 'random start' in problems(cfg, severity='note')['model.backbone.frozen_stages'].what


def test_a_test_loader_on_the_data_of_a_base(own, problems, repo_root, coco_tiny, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    cfg = own()
    coco = Config.fromfile(repo_root / 'configs/fcos_tresnet_m.py')
    cfg.test_dataloader, cfg.test_evaluator = coco.test_dataloader, coco.test_evaluator
    assert problems(cfg) == {}, 'training does not read it'
    note = problems(cfg, severity='note')['test_dataloader.dataset']
    assert '80 classes' in note.what and 'val_dataloader' in note.right
    found = problems(cfg, task='test')
    assert found['model.bbox_head.num_classes'].right == '80'


class Closed:
    def __init__(self, a):
        """Takes nothing else."""


class Inherited(Closed):
    """With the constructor of its base."""


class Handing(Inherited):
    def __init__(self, b, **kwargs):
        """Hands on what it does not know."""


class Open:
    def __init__(self, c, **kwargs):
        """Takes anything."""


@pytest.mark.parametrize('kind, names', [
    (Closed, {'self', 'a'}), (Inherited, {'self', 'a'}), (Handing, {'self', 'a', 'b', 'kwargs'}),
    (Open, None), (type('OpenChild', (Open,), {}), None)])
def test_the_settings_that_a_class_takes(kind, names):
    assert accepted(kind) == names
