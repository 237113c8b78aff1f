"""Single-label datasets, on files of the sets' own formats that the tests make."""

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, TRANSFORMS
from PIL import Image

PACK = [dict(type='PackSingleLabelInputs')]


def savemat(path, content):
    pytest.importorskip('scipy.io').savemat(path, content)


def build(kind, **kwargs):
    return DATASETS.build(dict(type=kind, **kwargs))


def labels_of(dataset):
    return [(dataset.get_data_info(i)['img_id'], dataset.get_data_info(i)['gt_labels'])
            for i in range(len(dataset))]


def test_custom_table(tmp_path):
    (tmp_path / 'a.csv').write_text('img_path,labels\na.jpg,dog\nb.jpg,cat\n')
    dataset = build('CustomSingleLabel', ann_file='a.csv', data_root=str(tmp_path))
    assert dataset.classes == ('cat', 'dog')
    assert labels_of(dataset) == [('a.jpg', [1]), ('b.jpg', [0])]


@pytest.mark.parametrize('name, text', [
    ('a.csv', 'img_path,labels\na.jpg,dog\nb.jpg,cat;dog\n'),
    ('a.csv', 'img_path,labels\na.jpg,dog\nb.jpg,\n'),
    ('a.csv', 'img_path,cat,dog\na.jpg,0,1\nb.jpg,1,-1\n'),
])
def test_custom_table_wants_one_label(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"a\.csv:3: 'b\.jpg' must have exactly one label"):
        build('CustomSingleLabel', ann_file=name, data_root=str(tmp_path))


@pytest.fixture
def folders(tmp_path):
    for name in ('n02/b.JPEG', 'n02/a.png', 'n01/deep/c.jpg', 'n02/note.txt', '.cache/x.jpg'):
        path = tmp_path / 'train' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize('kind', ['ImageFolderSingleLabel', 'ImageNet'])
def test_folders(folders, kind):
    dataset = build(kind, data_root=str(folders), data_prefix=dict(img='train'))
    assert dataset.classes == ('n01', 'n02')
    assert labels_of(dataset) == [
        ('n01/deep/c.jpg', [0]), ('n02/a.png', [1]), ('n02/b.JPEG', [1])]
    assert dataset.get_data_info(1)['img_path'] == str(folders / 'train/n02/a.png')
    with pytest.raises(ValueError, match=r"no folder for the classes \['n03'\]"):
        build(kind, data_root=str(folders), data_prefix=dict(img='train'),
              metainfo=dict(classes=['n01', 'n03']))


def test_imagenet_list(tmp_path):
    (tmp_path / 'val.txt').write_text('v_1.JPEG 1\nv_2.JPEG n01\n')
    (tmp_path / 'synsets.txt').write_text('n01\nn02\n')
    args = dict(ann_file='val.txt', data_root=str(tmp_path), data_prefix=dict(img='val'))
    meta = dict(classes=str(tmp_path / 'synsets.txt'))
    assert labels_of(build('ImageNet', metainfo=meta, **args)) == [
        ('v_1.JPEG', [1]), ('v_2.JPEG', [0])]
    with pytest.raises(ValueError, match='needs metainfo'):
        build('ImageNet', **args)
    (tmp_path / 'val.txt').write_text('v_1.JPEG 1\nv_2.JPEG 2\n')
    with pytest.raises(ValueError, match=r'val\.txt:2: .*index from 0 to 1'):
        build('ImageNet', metainfo=meta, **args)


@pytest.mark.parametrize('kind, names, file, prefix', [
    ('CIFAR10', 'batches.meta.txt', 'test_batch.bin', []),
    ('CIFAR100', 'fine_label_names.txt', 'test.bin', [7]),  # the coarse label comes first
])
def test_cifar(tmp_path, kind, names, file, prefix):
    (tmp_path / names).write_text('apple\nbear\n\n')
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)  # RGB
    records = [bytes([*prefix, label]) + image.transpose(2, 0, 1).tobytes()
               for label, image in zip((1, 0), images, strict=True)]
    (tmp_path / file).write_bytes(b''.join(records))
    dataset = build(kind, data_root=str(tmp_path), train=False, pipeline=PACK)
    assert dataset.classes == ('apple', 'bear')
    for i, label in enumerate((1, 0)):
        item = dataset[i]
        assert item['data_samples'].gt_label.tolist() == [label]
        assert np.array_equal(item['inputs'].numpy()[::-1].transpose(1, 2, 0), images[i])
    (tmp_path / file).write_bytes(b''.join(records)[:-1])
    with pytest.raises(ValueError, match='no multiple of'):
        build(kind, data_root=str(tmp_path), train=False)
    (tmp_path / file).write_bytes(bytes([*prefix, 2]) + bytes(3072))
    with pytest.raises(ValueError, match='image 0 has the label 2'):
        build(kind, data_root=str(tmp_path), train=False)
    (tmp_path / names).unlink()
    with pytest.raises(FileNotFoundError, match='binary version'):
        build(kind, data_root=str(tmp_path), train=False)


@pytest.mark.parametrize('split, expected', [
    ('train', [3]), ('val', [1]), ('trainval', [3, 1]), ('test', [2, 4])])
def test_flowers(tmp_path, split, expected):
    labels = [102, 1, 77, 5]
    savemat(tmp_path / 'imagelabels.mat', dict(labels=np.array([labels], np.uint8)))
    savemat(tmp_path / 'setid.mat', dict(trnid=[[3]], valid=[[1]], tstid=[[2, 4]]))
    dataset = build('Flowers102', split=split, data_root=str(tmp_path))
    assert labels_of(dataset) == [
        (f'image_0000{n}.jpg', [labels[n - 1] - 1]) for n in expected]
    assert len(dataset.classes) == 102


def test_flowers_refuses_sets_beyond_the_labels(tmp_path):
    savemat(tmp_path / 'imagelabels.mat', dict(labels=[[1, 2]]))
    savemat(tmp_path / 'setid.mat', dict(tstid=[[3]]))
    with pytest.raises(ValueError, match='between 1 and 2'):
        build('Flowers102', split='test', data_root=str(tmp_path))
    (tmp_path / 'setid.mat').write_bytes(b'no such file' * 20)
    with pytest.raises(ValueError, match=r'setid\.mat.* is no readable MATLAB file'):
        build('Flowers102', split='test', data_root=str(tmp_path))


def struct(rows, fields):
    array = np.zeros((1, len(rows)), [(name, object) for name in fields])
    for i, row in enumerate(rows):
        array[0, i] = row
    return array


NAMES = np.array([['AM General Hummer', 'Audi TT']], dtype=object)


@pytest.mark.parametrize('test, expected', [(False, ('car_ims/1.jpg', [1])),
                                            (True, ('car_ims/2.jpg', [0]))])
def test_cars_in_one_file(tmp_path, test, expected):
    rows = struct([('car_ims/1.jpg', 5, 2, 0), ('car_ims/2.jpg', 5, 1, 1)],
                  ('relative_im_path', 'bbox_x1', 'class', 'test'))
    savemat(tmp_path / 'cars_annos.mat', dict(annotations=rows, class_names=NAMES))
    dataset = build('StanfordCars', ann_file='cars_annos.mat', test=test, data_root=str(tmp_path))
    assert dataset.classes == ('AM General Hummer', 'Audi TT')
    assert labels_of(dataset) == [expected]


def test_cars_in_the_development_kit(tmp_path):
    (tmp_path / 'devkit').mkdir()
    savemat(tmp_path / 'devkit/cars_meta.mat', dict(class_names=NAMES))
    savemat(tmp_path / 'devkit/train.mat', dict(
        annotations=struct([(5, 2, '1.jpg')], ('bbox_x1', 'class', 'fname'))))
    savemat(tmp_path / 'devkit/cars_test_annos.mat', dict(
        annotations=struct([(5, '1.jpg')], ('bbox_x1', 'fname'))))
    args = dict(data_root=str(tmp_path), data_prefix=dict(img='cars_train'))
    dataset = build('StanfordCars', ann_file='devkit/train.mat', **args)
    assert labels_of(dataset) == [('1.jpg', [1])]
    with pytest.raises(ValueError, match='cars_test_annos_withlabels'):
        build('StanfordCars', ann_file='devkit/cars_test_annos.mat', **args)


def test_packing_wants_one_label():
    pack = TRANSFORMS.build(PACK[0])
    image = np.zeros((4, 4, 3), np.uint8)
    packed = pack(dict(img=image, gt_labels=[3], unknown_labels=[], num_classes=5))
    assert packed['data_samples'].gt_label.tolist() == [3]
    assert packed['data_samples'].gt_label.dtype == torch.int64
    assert 'gt_label' not in pack(dict(img=image))['data_samples']
    with pytest.raises(ValueError, match=r'has one label, got \[1, 3\]'):
        pack(dict(img=image, gt_labels=[1, 3], num_classes=5))


@pytest.mark.parametrize('height, width', [
    (333, 500), (500, 375), (256, 256), (257, 300), (90, 61)])
def test_published_preparation_is_pillows_to_the_pixel(height, width):
    """Shorter side to 256 and the middle 224: as torchvision's Resize and CenterCrop work."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    short = min(height, width)
    size = int(256 * width / short), int(256 * height / short)
    resized = Image.fromarray(image).resize(size, Image.BILINEAR)
    left, top = (int(round((length - 224) / 2.0)) for length in size)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    results = dict(img=image)
    for step in (dict(type='ResizeShortSide', side=256), dict(type='CenterCrop', crop_size=224)):
        results = TRANSFORMS.build(step)(results)
    assert np.array_equal(results['img'], expected)
