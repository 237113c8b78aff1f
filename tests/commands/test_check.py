"""``tresnet-mm check``, and the checks in front of training and testing."""

import json
import subprocess
import sys

import pytest

from tresnet_mm.commands import check, test, train
from tresnet_mm.config_files import shipped_configs
from tresnet_mm.datasets.annotations import coco_file

#: Configs whose data are not COCO's have these in their names.
OTHER_DATA = ('shapes', 'voc', 'nuswide', 'openimages', 'imagenet', 'cifar', 'stanford_cars',
              'flowers102')


@pytest.mark.parametrize('name', [
    name for name in shipped_configs() if not any(other in name for other in OTHER_DATA)])
def test_shipped_configs_agree_with_real_data(name, coco_tiny, monkeypatch, capsys):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    monkeypatch.setenv('COCO_YEAR', '2017')
    assert check.main([name]) == 0, capsys.readouterr().out
    out = ' '.join(capsys.readouterr().out.split())  # columns are as wide as they have to be
    assert 'train images 80,' in out and 'of 80 classes: person, bicycle' in out
    assert f'work_dirs/{name}' in out
    assert 'error' not in out


def persons(coco_tiny, split) -> int:
    """Persons to learn: all but crowds."""
    content = json.loads((coco_tiny / f'annotations/instances_{split}2017.json').read_text())
    (person,) = (c['id'] for c in content['categories'] if c['name'] == 'person')
    return sum(a['category_id'] == person and not a['iscrowd'] for a in content['annotations'])


def test_the_table_says_what_the_run_would_be(coco_tiny, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    check.main(['mask_rcnn_tresnet_m', '--work-dir', str(tmp_path), '--cfg-options',
                'train_dataloader.batch_size=8', 'model.roi_head.mask_head.num_classes=3'])
    lines = capsys.readouterr().out.splitlines()
    rows = dict(line.split('  ', 1) for line in lines if '  ' in line)
    rows = {name: text.strip() for name, text in rows.items()}
    assert rows['train batches'] == '10 of 8 images'
    assert rows['length'] == '12 epochs, 120 iterations'
    assert rows['backbone'] == 'TResNet m, channels [64, 128, 1024, 2048]'
    assert [int(count) for count in rows['person'].split()] == [
        persons(coco_tiny, split) for split in ('train', 'val')]
    assert rows['files go to'] == str(tmp_path)
    assert rows['classes'] == 'error' and rows['evaluation'] == 'agrees'
    assert [line for line in lines if line.startswith('error: ')] == [
        'error: model.roi_head.mask_head.num_classes = 3: train_dataloader.dataset has 80 classes '
        '(person, bicycle, car, motorcycle, airplane, ... (80)); right: 80']
    assert not list(tmp_path.iterdir()), 'nothing is written'


@pytest.mark.parametrize(('main', 'command', 'more'), [
    (train.main, 'train', []), (test.main, 'test', ['weights.pth'])])
def test_all_problems_are_told_before_anything_is_written(
        main, command, more, coco_tiny, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'weights.pth').write_text('no checkpoint')
    options = ['model.bbox_head.num_classes=3', 'model.neck.in_channels=[1,2,3,4]',
               'model.backbone.init_cfg=None']
    with pytest.raises(SystemExit) as ended:
        main(['retinanet_tresnet_m', *more, '--cfg-options', *options])
    assert ended.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if ' error: ' in line]
    assert lines[0].startswith(f'{command}: error: model.bbox_head.num_classes = 3: ')
    assert lines[1].startswith(f'{command}: error: model.neck.in_channels = [1, 2, 3, 4]: ')
    assert len(lines) == 2 + len(more), lines
    assert [path.name for path in tmp_path.iterdir()] == ['weights.pth']
    assert not coco_file._kept  # what the checks have read waits for no run


def test_the_first_of_several_processes_speaks_for_all(coco_tiny, monkeypatch, capsys):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    monkeypatch.setenv('RANK', '1')
    with pytest.raises(SystemExit) as ended:
        train.main(['retinanet_tresnet_m', '--cfg-options', 'model.bbox_head.num_classes=3',
                    'model.backbone.init_cfg=None'])
    assert ended.value.code == 2 and 'error:' not in capsys.readouterr().err


def test_no_check_leaves_them_out(coco_tiny, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    args = train.parse_args(['retinanet_tresnet_m', '--no-check', '--cfg-options',
                             'model.bbox_head.num_classes=3', 'model.backbone.init_cfg=None'])
    assert train.build_config(args).model.bbox_head.num_classes == 3


def test_the_tool_is_the_command(repo_root, coco_tiny, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    run = subprocess.run(
        [sys.executable, 'tools/check.py', 'atss_tresnet_m', '--cfg-options',
         'model.bbox_head.num_classes=4'], cwd=repo_root, capture_output=True, text=True)
    assert run.returncode == 1
    assert 'error: model.bbox_head.num_classes = 4' in run.stdout
