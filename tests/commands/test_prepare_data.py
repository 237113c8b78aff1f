"""From a source to a config that trains: the command as its user runs it."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.own_data import make_own_data
from tresnet_mm.__main__ import main
from tresnet_mm.commands.prepare_data import default_arch, plain

ROOT = Path(__file__).parents[2]
CARDS = ROOT.parent / 'shared/data/cards'
SMALL = [
    'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'param_scheduler.0.total_steps=1',
    'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0', *(
        f'{loader}_dataloader.persistent_workers=False' for loader in ('train', 'val', 'test'))]
TASKS = ['detection', 'multi-label', 'both', 'single-label']


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """Small images with one shape each, so that every task fits."""
    folder = tmp_path_factory.mktemp('source') / 'shapes'
    make_own_data(folder, 32)
    return folder


def prepare(source, out, *options):
    main(['prepare-data', str(source), str(out), '--arch', 'tiny', *options])
    return out / 'config.py'


def digest(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*')) if path.is_file()}


@pytest.mark.parametrize('gpu, arch, why', [
    (True, 'm', 'there is a GPU'),
    (False, 'tiny', 'there is no GPU, and TResNet-M is too slow without one')])
def test_the_network_to_begin_with_is_for_this_machine(gpu, arch, why, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpu)
    assert default_arch() == (arch, why)


@pytest.mark.parametrize('task', TASKS)
def test_the_config_agrees_with_its_data_and_the_source_is_as_it_was(
        task, shapes, tmp_path, capsys):
    before = digest(shapes)
    config = prepare(shapes, tmp_path / 'out', '--task', task)
    said = capsys.readouterr().out
    assert '.part' not in said
    for word in (f'task: {task}', 'network: tiny', 'train', 'report.md', f'train {config}'):
        assert word in said
    assert digest(shapes) == before
    assert not main(['check', str(config)])
    assert os.listdir(tmp_path) == ['out']


def test_the_default_task_is_what_is_annotated(shapes, tmp_path, capsys):
    config = prepare(shapes, tmp_path / 'out')
    assert 'task: detection (there are boxes' in capsys.readouterr().out
    assert Config.fromfile(config).model.type == 'FCOS'


def test_a_split_is_repeated_by_its_seed(shapes, tmp_path):
    made = {}
    for name, seed in (('a', '0'), ('b', '0'), ('c', '1')):
        prepare(shapes, tmp_path / name, '--seed', seed)
        content = json.loads((tmp_path / name / 'annotations/train.json').read_text())
        made[name] = {image['file_name'] for image in content['images']}
    assert made['a'] == made['b'] != made['c']


def test_folds_have_a_config_each_and_share_no_image(shapes, tmp_path):
    main(['prepare-data', str(shapes), str(tmp_path / 'out'), '--arch', 'tiny', '--folds', '2'])
    names = []
    for fold in range(2):
        cfg = Config.fromfile(tmp_path / f'out/config_fold{fold}.py')
        file = Path(cfg.val_dataloader.dataset.data_root, cfg.val_dataloader.dataset.ann_file)
        names += [image['file_name'] for image in json.loads(file.read_text())['images']]
    assert len(names) == len(set(names)) == 32


def test_copied_images_let_the_folder_move(shapes, tmp_path):
    prepare(shapes, tmp_path / 'out', '--copy-images')
    (tmp_path / 'out').rename(tmp_path / 'moved')
    assert not main(['check', str(tmp_path / 'moved/config.py')])
    assert len(list((tmp_path / 'moved/images').rglob('*.*'))) == 32


@pytest.mark.parametrize('step', ['write_dataset', 'write_text', 'write_report', 'copy_images'])
@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError(28, 'No space left on device')])
def test_an_interrupted_run_leaves_nothing(step, error, shapes, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise error
    monkeypatch.setattr(f'tresnet_mm.preparation.prepare.{step}', fail)
    with pytest.raises((KeyboardInterrupt, OSError, SystemExit)):
        prepare(shapes, tmp_path / 'out', '--copy-images')
    assert os.listdir(tmp_path) == []


@pytest.mark.reliability(
    done='`kill -9` of `prepare-data`',
    happens='no half data set; the next run cleans up')
@pytest.mark.slow
@pytest.mark.skipif(os.name != 'posix', reason='kills a process')
def test_a_killed_run_leaves_no_out_and_the_next_one_cleans_up(shapes, tmp_path):
    code = ('import time, tresnet_mm.preparation.prepare as prepare\n'
            'prepare.write_report = lambda *args: time.sleep(600)\n'
            'from tresnet_mm.__main__ import main\n'
            f'main(["prepare-data", {str(shapes)!r}, {str(tmp_path / "out")!r}])')
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.DEVNULL)
    part = tmp_path / '.out.part'
    while not (part / 'config.py').is_file() and process.poll() is None:
        time.sleep(0.2)
    process.kill()
    process.wait()
    assert os.listdir(tmp_path) == ['.out.part']
    prepare(shapes, tmp_path / 'out')
    assert os.listdir(tmp_path) == ['out']


def train_and_test(config, folder, *options, test=()):
    work = ['--work-dir', str(folder), '--cfg-options', *SMALL, *options]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    for command in ([sys.executable, 'tools/train.py', config],
                    [sys.executable, 'tools/test.py', config, folder / 'epoch_1.pth', *test]):
        done = subprocess.run([*map(str, command), *work], cwd=ROOT, env=environment, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


KEYS = {'detection': ['coco/bbox_mAP'], 'multi-label': ['multi-label/mAP'],
        'both': ['coco/bbox_mAP', 'multi-label/mAP'], 'single-label': ['single-label/top1']}


@pytest.mark.slow
@pytest.mark.parametrize('task', TASKS)
def test_what_was_written_trains_and_is_tested(task, shapes, tmp_path):
    config = prepare(shapes, tmp_path / 'out', '--task', task)
    views = ['--tta'] if task.endswith('label') else []  # validation has been without
    said = train_and_test(config, tmp_path / 'run', test=views)
    assert all(key in said for key in KEYS[task])


@pytest.mark.slow
@pytest.mark.parametrize('task', ['both', 'single-label'])
def test_the_full_network_trains_too(task, shapes, tmp_path):
    main(['prepare-data', str(shapes), str(tmp_path / 'out'), '--arch', 'm', '--scratch',
          '--task', task])
    said = train_and_test(tmp_path / 'out/config.py', tmp_path / 'run',
                          'train_dataloader.dataset.indices=4', 'train_dataloader.batch_size=2')
    assert all(key in said for key in KEYS[task])


@pytest.mark.slow
@pytest.mark.skipif(not CARDS.is_dir(), reason='the playing cards are not there')
def test_real_images_of_cards(tmp_path):
    config = prepare(CARDS, tmp_path / 'out', '--task', 'both')
    said = train_and_test(config, tmp_path / 'run', 'train_dataloader.dataset.indices=16',
                          'scale=(64,64)', 'train_pipeline.3.scale=(64,64)',
                          'train_dataloader.dataset.pipeline.3.scale=(64,64)')
    assert all(key in said for key in KEYS['both'])


def test_what_to_look_at_first_is_said_without_marks():
    assert plain('**2 images in 1 groups look the same** ([picture](a.png), [list](a.json)). Why') \
        == '2 images in 1 groups look the same. Why'
    assert plain('**1 of 9 images cannot be read**, such as a\\_b.jpg:\n    - a\\_b.jpg: no') \
        == '1 of 9 images cannot be read, such as a_b.jpg:'


def test_a_file_of_groups_keeps_images_together(shapes, tmp_path, capsys):
    prepare(shapes, tmp_path / 'first', '--resplit')
    parts = {part: json.loads((tmp_path / f'first/annotations/{part}.json').read_text())['images']
             for part in ('train', 'val', 'test')}
    names = sorted(image['file_name'] for images in parts.values() for image in images)
    groups = {name: f'group {place // 4}' for place, name in enumerate(names)}
    file = tmp_path / 'groups.json'
    file.write_text(json.dumps(groups))
    prepare(shapes, tmp_path / 'second', '--resplit', '--group', str(file))
    seen = [{groups[image['file_name']] for image in json.loads(
        (tmp_path / f'second/annotations/{part}.json').read_text())['images']} for part in parts]
    assert all(seen) and sum(map(len, seen)) == len(set(groups.values()))


@pytest.mark.parametrize('content, message', [
    (None, 'groups.json: there is no such file of groups'),
    (['a.jpg'], 'should be a JSON object of image names with their groups'),
    ({'a.jpg': 'one'}, 'there is no group of')])
def test_a_file_of_groups_that_does_not_do_is_named(content, message, shapes, tmp_path, capsys):
    file = tmp_path / 'groups.json'
    if content is not None:
        file.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as end:
        prepare(shapes, tmp_path / 'out', '--resplit', '--group', str(file))
    assert end.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
