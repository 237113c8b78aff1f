"""A config read out of a checkpoint's text, which may be a stranger's."""

import pytest
from mmengine.config import Config

from tresnet_mm.checkpoint.config_text import parse_config


def test_a_printed_config_reads_as_it_was():
    cfg = Config(dict(param_scheduler=[dict(type='OneCycleLR', total_steps=3, begin=-1)],
                      betas=(0.9, 0.99), names={'a b': None}, lr=1e-3))
    read = parse_config(cfg.pretty_text, strict=False)
    assert read == cfg._cfg_dict.to_dict()


@pytest.mark.parametrize('text', [
    "x = __import__('os').system('true')", 'x = dict(**open(0))', 'x = dict([1])',
    'x = [i for i in (1, 2)]', 'x = (', 'x = ' + '(' * 3000, 'import os'])
def test_nothing_is_run(text):
    assert parse_config(text, strict=False) == {}


def test_what_cannot_be_read_is_left_out():
    text = "a = 1\nb = open('c')\nd = dict(e=[2])"
    assert parse_config(text, strict=False) == {'a': 1, 'd': {'e': [2]}}
