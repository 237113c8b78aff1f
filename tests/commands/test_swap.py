"""``tresnet-mm swap`` of a user's own config: what the written one says."""

import pytest
from mmengine.config import Config

from tresnet_mm.__main__ import main
from tresnet_mm.commands.swap import render

OWN = """
model = dict(type='FCOS', backbone=dict(type='ResNet', depth=50, out_indices=(1, 2, 3)),
             neck=dict(type='FPN', in_channels=[512, 1024, 2048], out_channels=64, num_outs=5))
load_from = 'https://no.invalid/fcos_r50.pth'
"""


def test_the_written_config_inherits_by_its_place_and_starts_from_no_foreign_weights(
        tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').write_text(OWN)
    main(['swap', 'mine.py', '--arch', 'm', '-o', 'new/mine_tresnet_m.py'])
    text = (tmp_path / 'new/mine_tresnet_m.py').read_text()
    assert "_base_ = '../mine.py'\n" in text
    cfg = Config.fromfile('new/mine_tresnet_m.py')
    assert cfg.load_from is None
    assert cfg.model.backbone.type.endswith('TResNet') and cfg.model.backbone.arch == 'm'
    assert cfg.model.neck.in_channels == [128, 1024, 2048]


@pytest.mark.parametrize('value, text', [
    (dict(a=1, b=[2, 'c']), "dict(a=1, b=[2, 'c'])"),
    ({'backbone.conv1': dict(lr_mult=0.1)}, "{'backbone.conv1': dict(lr_mult=0.1)}"),
    ({1: None}, '{1: None}')])
def test_values_are_written_as_configs_have_them(value, text):
    assert render(value, 0) == text and eval(text) == value
