"""Single-label datasets, on files of the sets' own formats that the tests make."""

import pickle
from struct import pack as struct_of

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, TRANSFORMS
from PIL import Image

import tresnet_mm  # noqa: F401  # registers them

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


def test_folders_that_hold_nothing(tmp_path):
    args = dict(kind='ImageFolderSingleLabel', data_root=str(tmp_path), data_prefix=dict(img='a'))
    with pytest.raises(FileNotFoundError, match="there is no folder '.*/a', which should hold one"):
        build(**args)
    (tmp_path / 'a/.cache').mkdir(parents=True)
    with pytest.raises(ValueError, match="/a' holds no folders of classes"):
        build(**args)
    (tmp_path / 'a/cat').mkdir()
    (tmp_path / 'a/cat/note.txt').touch()
    with pytest.raises(ValueError, match=r"/a': no image \(.jpg, .* in its folders"):
        build(**args)


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
    with pytest.raises(FileNotFoundError, match=f'neither {names} nor .*meta'):
        build(kind, data_root=str(tmp_path), train=False)


def python2(value) -> bytes:
    """A value as Python 2's cPickle writes it, in protocol 2 and without the frame."""
    if isinstance(value, np.ndarray):
        rows, columns = value.shape
        kind = value.dtype.str[1:].encode()
        return (b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R('
                + b'K\x01' + python2(rows) + python2(columns) + b'\x86cnumpy\ndtype\nU\x02' + kind
                + b'K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89'
                + b'T' + struct_of('<i', value.nbytes) + value.tobytes() + b'tb')
    if isinstance(value, str):
        return b'U' + bytes([len(value)]) + value.encode('latin1')
    if isinstance(value, int):
        return b'J' + struct_of('<i', value)
    if isinstance(value, list):
        return b'](' + b''.join(map(python2, value)) + b'e'
    return b'}(' + b''.join(python2(k) + python2(v) for k, v in value.items()) + b'u'


def save_python2(path, value):
    path.write_bytes(b'\x80\x02' + python2(value) + b'.')


PYTHON_FORMS = {'CIFAR10': ('batches.meta', 'label_names', 'test_batch', 'labels'),
                'CIFAR100': ('meta', 'fine_label_names', 'test', 'fine_labels')}


def save_cifar_python(folder, kind, **changes):
    meta, names_key, file, key = PYTHON_FORMS[kind]
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8)
    save_python2(folder / meta, {names_key: ['apple', 'bear'], 'num_vis': 3072})
    save_python2(folder / file, {
        'batch_label': 'testing batch 1 of 1', 'data': images.reshape(2, -1), key: [1, 0],
        'filenames': ['a.png', 'b\xe9r.png'], **changes})
    return images, folder / file


@pytest.mark.parametrize('kind', PYTHON_FORMS)
def test_cifar_of_python(tmp_path, kind):
    images, file = save_cifar_python(tmp_path, kind)
    for _ in range(2):
        dataset = build(kind, data_root=str(tmp_path), train=False, pipeline=PACK)
        assert dataset.classes == ('apple', 'bear')
        for i, label in enumerate((1, 0)):
            assert dataset[i]['data_samples'].gt_label.tolist() == [label]
            assert np.array_equal(dataset[i]['inputs'].numpy()[::-1], images[i])  # BGR
        # the same, written again by Python 3, which read the texts as bytes
        key = PYTHON_FORMS[kind][-1].encode()
        file.write_bytes(pickle.dumps({b'data': images.reshape(2, -1), key: [1, 0]}))


@pytest.mark.parametrize('changes, message', [
    (dict(data=np.zeros((2, 3072), np.int8)), 'data is no uint8 array'),
    (dict(data=np.zeros((2, 3000), np.uint8)), 'data is no uint8 array'),
    (dict(labels=[1]), 'labels is no list of 2 classes'),
    (dict(labels=[1, 'x']), 'labels is no list of 2 classes'),
    (dict(labels=[1, 2]), 'image 1 has the label 2, but there are 2 classes'),
])
def test_cifar_of_python_that_is_wrong(tmp_path, changes, message):
    save_cifar_python(tmp_path, 'CIFAR10', **changes)
    with pytest.raises(ValueError, match=f'test_batch.*{message}'):
        build('CIFAR10', data_root=str(tmp_path), train=False)


def test_names_of_cifar(tmp_path):
    save_cifar_python(tmp_path, 'CIFAR10')
    args = dict(kind='CIFAR10', data_root=str(tmp_path), train=False)
    assert build(metainfo=dict(classes=('apple', 'bear')), **args).classes == ('apple', 'bear')
    with pytest.raises(ValueError, match='CIFAR10 has the classes of batches.meta, in that order'):
        build(metainfo=dict(classes=('bear', 'apple')), **args)
    for names in ([], 'apple'):
        save_python2(tmp_path / 'batches.meta', {'label_names': names})
        with pytest.raises(ValueError, match="batches.meta': label_names is no list of names"):
            build(**args)


@pytest.mark.parametrize('content, message', [
    (b'\x80\x02cos\nsystem\nU\x05mkdir\x85R.', 'asks for os.system, which is no plain data'),
    (b'cbuiltins\neval\nU\x031+1\x85R.', 'asks for builtins.eval'),
    (b'\x80\x02}(', 'is damaged or no pickle'),
    (b'no pickle', 'is damaged or no pickle'),
    (b'\x80\x02].', 'holds a list, not a dict'),
    (b'\x80\x02}U\x01aK\x01s.', "has no 'data', but a: it is another file"),
])
def test_cifar_of_python_runs_nothing(tmp_path, content, message):
    _, file = save_cifar_python(tmp_path, 'CIFAR10')
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f'test_batch.*{message}'):
        build('CIFAR10', data_root=str(tmp_path), train=False)
    file.unlink()
    with pytest.raises(FileNotFoundError, match='test_batch'):
        build('CIFAR10', data_root=str(tmp_path), train=False)


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


@pytest.mark.parametrize('labels', [[0, 1], [1, 103]])
def test_flowers_refuses_labels_beyond_the_classes(tmp_path, labels):
    savemat(tmp_path / 'imagelabels.mat', dict(labels=[labels]))
    savemat(tmp_path / 'setid.mat', dict(tstid=[[1]]))
    with pytest.raises(ValueError, match=r'imagelabels\.mat: labels must lie between 1 and 102'):
        build('Flowers102', split='test', data_root=str(tmp_path))
    with pytest.raises(ValueError, match="split must be one of .*'trainval'.*got 'all'"):
        build('Flowers102', split='all', data_root=str(tmp_path))


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


@pytest.mark.parametrize('rows, fields, message', [
    ([(3, '1.jpg')], ('class', 'fname'), 'train.mat: class 3, but there are 2'),
    ([(0, '1.jpg')], ('class', 'fname'), 'train.mat: class 0, but there are 2'),
    ([(1, '1.jpg')], ('class', 'path'), 'train.mat: its annotations have no fname'),
])
def test_cars_that_are_wrong(tmp_path, rows, fields, message):
    (tmp_path / 'devkit').mkdir()
    savemat(tmp_path / 'devkit/cars_meta.mat', dict(class_names=NAMES))
    savemat(tmp_path / 'train.mat', dict(annotations=struct(rows, fields)))
    with pytest.raises(ValueError, match=message):
        build('StanfordCars', ann_file='train.mat', data_root=str(tmp_path))


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
