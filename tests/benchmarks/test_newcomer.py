"""The untouched config's experiment: it changes nothing, keeps what it has, and draws."""

import json

import cv2
import numpy as np
import pytest

from benchmarks.experiments import newcomer
from tresnet_mm.commands.runs import RunError


def test_a_folder_that_is_there_is_not_prepared_again(tmp_path):
    (tmp_path / 'config.py').write_text('')
    assert newcomer.prepare(tmp_path / 'nowhere', tmp_path) == tmp_path / 'config.py'
    (tmp_path / 'other.py').write_text('')
    with pytest.raises(RunError, match=r"one config expected, found \['config.py', 'other.py'\]"):
        newcomer.prepare(tmp_path / 'nowhere', tmp_path)


def test_the_config_is_trained_as_it_is_and_once(tmp_path, monkeypatch, capsys):
    calls = []

    def train(config, work_dir, quiet):
        calls.append(config)
        return work_dir / 'epoch_3.pth'

    monkeypatch.setattr(newcomer.runs, 'train', train)
    monkeypatch.setattr(newcomer.runs, 'test', lambda *_, **__: {'coco/bbox_mAP': 0.5})
    monkeypatch.setattr(newcomer, 'FILE', tmp_path / 'newcomer.json')
    monkeypatch.setattr(newcomer, 'WORK', tmp_path)
    (tmp_path / 'cells').mkdir()
    config = tmp_path / 'cells/config.py'
    config.write_text('train_dataloader = dict(batch_size=4)\ntrain_cfg = dict(max_epochs=3)')
    newcomer.main(['--data', 'source/cells'])
    newcomer.main(['--data', 'source/cells'])
    assert calls == [str(config)]  # and no options
    kept = json.loads((tmp_path / 'newcomer.json').read_text())['runs']['cells']
    assert kept['metrics'] == {'coco/bbox_mAP': 0.5} and kept['checkpoint'] == 'epoch_3.pth'
    assert '| cells | 3      | 0.0                 | 50.0    | -          | -         |' in (
        capsys.readouterr().out)


def test_the_picture_shows_evenly_spaced_photographs(tmp_path, monkeypatch):
    shown = []

    class Fake:
        def __init__(self, *_, **__):
            pass

        def __call__(self, paths, out_dir):
            shown.extend(paths)
            for path in paths:
                grey = int(path.split('.')[0])
                cv2.imwrite(f'{out_dir}/vis/{grey}.jpg', np.full((30, 40, 3), grey, np.uint8))

        def __len__(self):
            return 20

        def get_data_info(self, place):
            return dict(img_path=f'{10 * place}.jpg')

    (tmp_path / 'pictures/vis').mkdir(parents=True)
    (tmp_path / 'config.py').write_text('test_dataloader = dict(dataset=dict(type="any"))')
    monkeypatch.setattr(newcomer, 'Inferencer', Fake)
    monkeypatch.setattr(newcomer, 'newest_whole', lambda folder: folder / 'x.pth')
    monkeypatch.setattr(newcomer.DATASETS, 'build', lambda cfg: Fake())
    newcomer.draw(tmp_path / 'config.py', tmp_path, tmp_path / 'sheet.jpg', images=4, width=300)
    assert shown == ['0.jpg', '50.jpg', '100.jpg', '150.jpg']
    assert cv2.imread(str(tmp_path / 'sheet.jpg')).shape[1] == 300
