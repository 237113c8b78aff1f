"""What a user may type for a config."""

import pytest
from mmengine.config import Config

from tresnet_mm import config_files
from tresnet_mm.commands import print_config
from tresnet_mm.config_files import find_config, shipped_configs


@pytest.mark.parametrize('name', ['fcos_tresnet_m', 'fcos_tresnet_m.py'])
def test_names_of_shipped_configs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Config.fromfile(find_config(name)).model.backbone.type == 'TResNet'


def test_a_file_comes_before_a_shipped_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'fcos_tresnet_m.py').write_text('a = 1\n')
    assert find_config('fcos_tresnet_m.py').resolve() == tmp_path / 'fcos_tresnet_m.py'


def test_below_an_installed_package():
    path = find_config('mmdet::atss/atss_r50_fpn_1x_coco.py')
    assert path.is_file() and path.parent.name == 'atss'


@pytest.mark.parametrize(('name', 'message'), [
    ('configs/fcos_tresnet_k.py', 'fcos_tresnet_k.py does not exist; tresnet_mm comes with fcos_'),
    ('nothing_like_it', 'config file nothing_like_it does not exist$'),
    ('mmdet::atss/none.py', 'no config mmdet::atss/none.py'),
    ('mmnone::a.py', "no package 'mmnone' is installed"),
])
def test_what_does_not_exist_is_named(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message):
        find_config(name)


@pytest.mark.parametrize('to_file', [False, True])
def test_printed_configs_are_whole(to_file, capsys, tmp_path):
    save = ['--save-path', str(tmp_path / 'printed.py')] if to_file else []
    print_config.main(
        ['retinanet_tresnet_l', *save, '--cfg-options', 'model.bbox_head.num_classes=7'])
    if not to_file:
        (tmp_path / 'printed.py').write_text(capsys.readouterr().out)
    printed = Config.fromfile(tmp_path / 'printed.py')
    expected = Config.fromfile(shipped_configs()['retinanet_tresnet_l'])
    expected.model.bbox_head.num_classes = 7
    assert printed.to_dict() == expected.to_dict()


@pytest.mark.parametrize('folder', ['tresnet_mm/.mim/configs', 'configs'])
def test_shipped_configs_of_a_wheel_and_of_a_checkout(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(config_files, '_PACKAGE', tmp_path / 'tresnet_mm')
    assert shipped_configs() == {}
    with pytest.raises(FileNotFoundError, match='config file fcos_tresnet_m does not exist$'):
        find_config('fcos_tresnet_m')
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / 'fcos_tresnet_m.py').touch()
    assert shipped_configs() == {'fcos_tresnet_m': tmp_path / folder / 'fcos_tresnet_m.py'}
