"""``tresnet-mm test --backend onnxruntime`` measures of a file what PyTorch measures of its model.

The test batches have images of several sizes, whose padding the file has to leave out as well.
"""

import json

import pytest

from tests.deploy import own_truth
from tresnet_mm.__main__ import main

pytest.importorskip('onnxruntime')
#: Kind of model -> measures that tell one model from another.
TELLING = {
    'classifier': ['multi-label/mAP', 'multi-label/OF1'],
    'single-label': ['single-label/top1'],
    'detector': ['coco/bbox_mAP'],
    'two-stage': ['coco/bbox_mAP'],
    'masks': ['coco/bbox_mAP', 'coco/segm_mAP'],
    'DINO': ['coco/bbox_mAP'],
    'joint': ['coco/bbox_mAP', 'multi-label/mAP', 'weather/top1', 'scene/mAP'],
}


def measures(files, checkpoint, folder, *more: str) -> dict[str, float]:
    main(['test', str(files.config), str(checkpoint), '--work-dir', str(folder), *more])
    (path,) = folder.glob('*/*.json')
    return {name: value for name, value in json.loads(path.read_text()).items()
            if isinstance(value, float) and 'time' not in name}


@pytest.mark.slow
@pytest.mark.parametrize('kind', TELLING)
def test_the_file_measures_as_its_model(kind, tmp_path):
    files = own_truth.make(kind, tmp_path)
    exported = tmp_path / 'model.onnx'
    main(['export', str(files.config), str(files.checkpoint), '-o', str(exported), '--size', '64',
          '64', '--images', str(tmp_path / 'images')])
    expected = measures(files, files.checkpoint, tmp_path / 'torch')
    found = measures(files, exported, tmp_path / 'onnx', '--backend', 'onnxruntime')
    assert expected.keys() == found.keys()
    for name in TELLING[kind]:
        assert 0.05 < expected[name] / (1 if name.startswith('coco') else 100) < 0.98, name
    for name, value in expected.items():
        # a tenth of a point: COCO's measures are of 1 and rounded to it, the others in percent
        tenth = 1.01e-3 if name.startswith('coco') else 0.101
        assert found[name] == pytest.approx(value, abs=tenth), name
