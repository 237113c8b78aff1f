"""Configs of mmseg, mmpretrain and mmrotate: swapped, they do what they do with their ResNet."""

import importlib.util

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from benchmarks.experiments import swap_report
from tests.lines import needs_package
from tresnet_mm import swap_backbone
from tresnet_mm.commands.swap import base_name, child_config
from tresnet_mm.config_files import find_config

#: What a swap has to get right, each in one config: library, folder, arch.
SAMPLE = [
    ('mmseg', 'deeplabv3plus', 'l'),  # c1_in_channels
    ('mmseg', 'fastfcn', 'l'),  # JPU's lists
    ('mmseg', 'bisenetv1', 'm'),  # a wrapper around the ResNet
    ('mmseg', 'icnet', 'l'),  # a wrapper that runs the ResNet's parts
    ('mmseg', 'encnet', 'v2_l'),  # a list in the head
    ('mmpretrain', 'seresnet', 'l'),
    ('mmpretrain', 'csra', 'l'),
    ('mmpretrain', 'arcface', 'm'),
]
CHILDREN = [
    'mmseg::ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
    'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'mmrotate::rotated_fcos/rotated-fcos-le90_r50_fpn_1x_dota.py',
]


def skip_without(library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f'needs {library}')


@pytest.mark.parametrize(('library', 'folder', 'arch'), SAMPLE)
def test_models_do_what_they_do_with_resnet(library, folder, arch):
    skip_without(library)
    ((_, path),) = swap_report.representatives([folder], library)
    results = swap_report.check(path, arch, library)
    expected = dict.fromkeys(swap_report.STEPS, 'ok')
    if folder == 'arcface':  # its predictions need the gallery's data set
        results['predict'] = 'ok'
    assert results == expected


@pytest.mark.parametrize('name', CHILDREN)
def test_written_config_loads_and_is_the_function_s_result(name, tmp_path):
    skip_without(name.partition('::')[0])
    out = tmp_path / 'child.py'
    out.write_text(child_config(name, 'l', out))
    child = Config.fromfile(out)
    base = f'_base_ = {base_name(name, find_config(name), out)!r}\n'
    (tmp_path / 'base.py').write_text(base)
    swapped = swap_backbone(Config.fromfile(tmp_path / 'base.py'), 'l')
    assert child.model.to_dict() == swapped.model.to_dict()
    assert child.get('data_preprocessor') == swapped.get('data_preprocessor')
    if name.startswith('mmrotate'):
        return  # OneDL's does not import everywhere; the report builds them
    swap_report.without_downloads(child)
    with DefaultScope.overwrite_default_scope(child.default_scope):
        assert MODELS.build(child.model).backbone is not None


@needs_package('mmseg')
def test_base_is_a_file_where_mmengine_does_not_find_the_package(tmp_path, monkeypatch):
    name = CHILDREN[0]
    path = find_config(name)
    monkeypatch.setattr('tresnet_mm.commands.swap.is_installed', lambda package: False)
    assert base_name(name, path, None) == str(path)
    monkeypatch.setattr('tresnet_mm.commands.swap.is_installed', 'mmsegmentation'.__eq__)
    assert base_name(name, path, None) == name
