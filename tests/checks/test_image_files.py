"""Image files that are not there, and how they are looked for."""

import pytest
from mmcv.transforms import LoadImageFromFile

from tresnet_mm.checks import Subject, file_listing, image_files
from tresnet_mm.checks.file_listing import missing_files


def told(cfg):
    return {problem.where: problem for problem in image_files.check_image_files(Subject(cfg))}


@pytest.mark.parametrize('name', ['fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes'])
def test_missing_files_are_counted_and_the_first_named(own, root, name):
    cfg = own(name)
    assert told(cfg) == {}
    for i in (2, 3, 5, 6, 7):
        (root / f'train/{i}.png').unlink()
    found = told(cfg)
    assert list(found) == ['train_dataloader.dataset.data_prefix']
    what = found['train_dataloader.dataset.data_prefix'].what
    assert what.startswith(f'5 of 8 image files do not exist: {root}/train/2.png, ')
    assert what.endswith(', ... (5)')


def test_another_folder(own, root, problems):
    cfg = own(options={'train_dataloader.dataset.data_prefix.img': 'images/'})
    assert '8 of 8 image files' in problems(cfg)['train_dataloader.dataset.data_prefix'].what


def test_of_chosen_images_the_chosen_are_looked_for(own, root):
    for name in ('0.png', '3.png', '7.png'):
        (root / 'train' / name).unlink()
    cfg = own(options={'train_dataloader.dataset.indices': [1, 3, 5, 7]})
    cfg.train_dataloader.dataset.pipeline[0].type = LoadImageFromFile  # a class, not its name
    assert told(cfg)['train_dataloader.dataset.data_prefix'].what == (
        f'2 of 4 image files do not exist: {root}/train/3.png, {root}/train/7.png')


def test_only_what_is_read_from_files_of_this_machine(own, root):
    for file in (root / 'train').iterdir():
        file.unlink()
    cfg = own(options={'train_dataloader.dataset.indices': 3})
    assert '3 of 3' in told(cfg)['train_dataloader.dataset.data_prefix'].what
    cfg.train_dataloader.dataset.pipeline[0].backend_args = dict(backend='petrel')
    assert told(cfg) == {}
    cfg.train_dataloader.dataset.pipeline[0] = dict(type='LoadEmptyAnnotations')
    assert told(cfg) == {}


def test_files_in_several_folders_and_links(tmp_path):
    for name in ('a/1.png', 'b/1.png'):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / 'a/link.png').symlink_to(tmp_path / 'b/1.png')
    (tmp_path / 'a/broken.png').symlink_to(tmp_path / 'b/none.png')
    paths = [str(tmp_path / name) for name in (
        'b/2.png', 'a/1.png', 'a/link.png', 'a/broken.png', 'c/1.png', 'b/1.png', 'b/../a/1.png')]
    assert missing_files(paths) == [paths[i] for i in (0, 3, 4)]
    assert missing_files([]) == []


def test_of_many_as_many_are_looked_for_from_first_to_last(own, root, monkeypatch):
    monkeypatch.setattr(file_listing, 'MOST_FILES', 4)
    (root / 'train/0.png').unlink()
    (root / 'train/1.png').unlink()
    (root / 'train/6.png').unlink()
    what = told(own())['train_dataloader.dataset.data_prefix'].what
    assert what == (f'2 of 4 image files looked for (8 in all) do not exist: {root}/train/0.png, '
                    f'{root}/train/6.png')
