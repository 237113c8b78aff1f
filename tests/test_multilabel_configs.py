"""The multi-label configs fit together, and their optimiser is the recipe's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope

from tresnet_mm.archs import ARCHS
from tresnet_mm.checkpoint import hub

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
PUBLISHED = sorted(
    path.stem for path in CONFIGS.glob('multilabel_*.py') if 'shapes' not in path.stem)
CLASSES = dict(CocoMultiLabel=80, NUSWIDE=81, OpenImages=9605, VOCMultiLabel=20)


def load(name: str) -> Config:
    init_default_scope('mmdet')
    return Config.fromfile(CONFIGS / f'{name}.py')


def small(cfg: Config) -> dict:
    """The config's model with one block a stage and no pretrained weights."""
    model = cfg.model.to_dict()
    arch = ARCHS[model['backbone']['arch']]
    model['backbone'].update(arch=dict(arch, depths=(1, 1, 1, 1)), init_cfg=None)
    return model


@pytest.mark.parametrize('name', PUBLISHED)
def test_images_are_of_the_size_in_the_name(name):
    """In training, evaluation and test-time augmentation, whatever shape they come in."""
    cfg = load(name)
    (side,) = (int(part) for part in name.split('_') if part.isdigit())
    pipelines = [cfg[f'{split}_dataloader'].dataset.pipeline for split in ('train', 'val', 'test')]
    for pipeline in (*pipelines, cfg.tta_pipeline):
        resize = TRANSFORMS.build(
            next(step for step in pipeline if step['type'].endswith('Resize')))
        image = np.zeros((50, 70, 3), np.uint8)
        assert resize(dict(img=image))['img'].shape == (side, side, 3)


@pytest.mark.parametrize('name', PUBLISHED)
def test_head_fits_backbone_and_classes(name):
    cfg = load(name)
    with torch.device('meta'):
        model = MODELS.build(small(cfg))
        logits = model(torch.zeros(2, 3, 64, 64), mode='tensor')
    assert logits.shape == (2, CLASSES[cfg.train_dataloader.dataset.type])
    assert CLASSES[cfg.test_dataloader.dataset.type] == logits.shape[1]


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_batch_is_the_one_that_the_learning_rate_is_for(name):
    """``--auto-scale-lr`` on one process changes nothing."""
    cfg = load(name)
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size


@pytest.mark.parametrize('name', PUBLISHED)
def test_pretrained_weights_are_of_the_arch(name):
    backbone = load(name).model.backbone
    scheme, _, key = backbone.init_cfg.checkpoint.partition('://')
    assert scheme == 'tresnet'
    assert key in hub.HUB_FILES
    assert key.startswith(f'{backbone.arch}_in')


@pytest.mark.parametrize('year', ['2014', '2017'])
def test_coco_layouts(year, monkeypatch):
    monkeypatch.setenv('COCO_YEAR', year)
    monkeypatch.setenv('COCO_ROOT', '/somewhere')
    cfg = load('multilabel_tresnet_l_448')
    for loader, split in ((cfg.train_dataloader, 'train'), (cfg.test_dataloader, 'val')):
        assert loader.dataset.data_root == '/somewhere'
        assert loader.dataset.ann_file == f'annotations/instances_{split}{year}.json'
        assert loader.dataset.data_prefix == dict(img=f'{split}{year}/')


def test_voc_root(monkeypatch):
    monkeypatch.setenv('VOC_ROOT', '/voc')
    cfg = load('multilabel_voc07_tresnet_l_448')
    assert cfg.train_dataloader.dataset.data_root == cfg.test_dataloader.dataset.data_root == '/voc'
    assert cfg.train_dataloader.dataset.data_prefix == dict(img='JPEGImages/', ann='Annotations/')


@pytest.mark.parametrize('name', ['multilabel_tresnet_m_224', 'multilabel_tresnet_m_224_mldecoder'])
def test_weight_decay_spares_norms_biases_and_other_vectors(name):
    cfg = load(name)
    model = MODELS.build(small(cfg))
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    assert isinstance(wrapper, OptimWrapper)
    assert type(wrapper.optimizer) is torch.optim.Adam  # decay in the gradient, not decoupled
    groups = wrapper.optimizer.param_groups
    decay = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert {id(p) for p in trained.values()} == set(decay)
    wrong = [n for n, p in trained.items() if decay[id(p)] != (1e-4 if p.ndim > 1 else 0)]
    assert wrong == []
    assert {g['lr'] for g in groups} == {1e-4}
