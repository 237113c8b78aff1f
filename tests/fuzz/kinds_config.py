"""Configs as JSON and YAML, options of the command line, and the arguments of the backbone."""
from __future__ import annotations

import json
from typing import Any

import torch
import torch._dynamo  # the meta device imports it at its first use, which takes seconds
import yaml
from hypothesis import strategies as st

from tests.fuzz.kinds import Kind, documented
from tests.fuzz.kinds_data import file_with
from tests.fuzz.mutations import SCALARS, damaged, mutated
from tresnet_mm.commands import launch, train
from tresnet_mm.config_files import read_config
from tresnet_mm.models import TResNet

SOUND: dict[str, Any] = dict(
    model=dict(type='MultiLabelClassifier', backbone=dict(type='TResNet', arch='m'),
               head=dict(type='MultiLabelLinearHead', num_classes=3)),
    train_cfg=dict(by_epoch=True, max_epochs=2), work_dir='x', list=[1, dict(a=2)])
TAGS = st.sampled_from(['', '!!python/name:os.system ', '!!python/object/apply:os.getcwd ',
                        '!!python/tuple ', '!!python/object:argparse.Namespace ', '&a ', '*a '])


def to_yaml(case: tuple[str, Any]) -> bytes:
    """YAML with a tag in front of a value."""
    tag, data = case
    return f'tagged: {tag}[]\n{yaml.safe_dump(json.loads(json.dumps(data)))}'.encode()


CONFIGS = st.one_of(
    st.tuples(st.just('.json'), mutated(SOUND).map(lambda data: json.dumps(data).encode())),
    st.tuples(st.just('.json'), damaged(json.dumps(SOUND).encode())),
    st.tuples(st.just('.yaml'), st.tuples(TAGS, st.just(SOUND)).map(to_yaml)),
    st.tuples(st.just('.yaml'), damaged(yaml.safe_dump(SOUND).encode())))


def check_config(case: tuple[str, bytes]) -> bool:
    """Whether a config is read."""
    suffix, content = case
    with file_with(f'x{suffix}', content) as path:
        return documented(lambda: read_config(str(path)), f'x{suffix}')


KEYS = st.sampled_from(['model', 'model.backbone', 'model.backbone.arch', 'list', 'list.0',
                        'list.1.a', 'list.9', 'list.x', 'train_cfg.max_epochs', 'new', 'new.a', '',
                        '.', 'a..b', 'work_dir.0'])
OPTIONS = st.dictionaries(KEYS, st.one_of(SCALARS, st.just([1]), st.just(dict(a=1))), max_size=3)


def check_options(options: dict[str, Any]) -> bool:
    """Whether changes find their place in a config."""
    with file_with('x.json', json.dumps(SOUND).encode()) as path:
        args = train.parse_args([str(path)])
        args.cfg_options = options
        return documented(lambda: launch.load_config(args), '--cfg-options')


BACKBONE: dict[str, Any] = dict(
    arch=dict(depths=[1, 1, 1, 1], width=0.1, blocks=['basic', 'basic', 'bottleneck', 'basic']),
    in_channels=3, out_indices=[0, 3], frozen_stages=1, strides=[1, 2, 2, 2],
    dilations=[1, 1, 1, 2], leaky_slope=0.01)


def check_backbone(settings: Any) -> bool:
    """Whether a backbone can be built; nothing is allocated for it."""
    try:
        with torch.device('meta'):
            TResNet(**settings)
    except (ValueError, TypeError):
        return False
    return True


KINDS = {'config': Kind(CONFIGS, check_config), 'options': Kind(OPTIONS, check_options),
         'backbone': Kind(mutated(BACKBONE), check_backbone)}
