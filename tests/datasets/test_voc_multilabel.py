"""PASCAL VOC as image labels, and what difficult objects count as."""

from pathlib import Path

import pytest

from tresnet_mm.datasets import VOCMultiLabel

DOG, PERSON, CAR = 11, 14, 6


def write(folder: Path, image: str, *objects: tuple[str, int]) -> None:
    parts = ''.join(
        f'<object><name>{name}</name><difficult>{hard}</difficult></object>'
        for name, hard in objects)
    (folder / 'Annotations' / f'{image}.xml').write_text(f'<annotation>{parts}</annotation>')


@pytest.fixture
def voc(tmp_path) -> Path:
    for part in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (tmp_path / part).mkdir(parents=True)
    write(tmp_path, '000001', ('dog', 0), ('person', 1))
    write(tmp_path, '000002', ('car', 1), ('car', 0))  # one easy car suffices
    write(tmp_path, '000003', ('person', 1))
    # The lists of the single classes have a second column; only the name is read.
    (tmp_path / 'ImageSets/Main/test.txt').write_text('000001\n000002  1\n\n000003 -1\n')
    return tmp_path


def read(voc: Path, **kwargs) -> dict:
    dataset = VOCMultiLabel('ImageSets/Main/test.txt', data_root=str(voc), **kwargs)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_id']: (info['gt_labels'], info['unknown_labels']) for info in infos}


def test_training_counts_difficult_objects(voc):
    assert read(voc) == {
        '000001': ([DOG, PERSON], []), '000002': ([CAR], []), '000003': ([PERSON], [])}


def test_testing_leaves_them_out(voc):
    assert read(voc, test_mode=True) == {
        '000001': ([DOG], [PERSON]), '000002': ([CAR], []), '000003': ([], [PERSON])}


def test_as_negatives(voc):
    assert read(voc, difficult='negative') == {'000001': ([DOG], []), '000002': ([CAR], [])}
    assert read(voc, difficult='negative', keep_empty=True)['000003'] == ([], [])


def test_paths_and_classes(voc):
    dataset = VOCMultiLabel('ImageSets/Main/test.txt', data_root=str(voc))
    assert dataset.get_data_info(0)['img_path'] == str(voc / 'JPEGImages/000001.jpg')
    assert len(dataset.classes) == 20


def test_bad_input(voc):
    with pytest.raises(ValueError, match="one of .* got 'maybe'"):
        read(voc, difficult='maybe')
    write(voc, '000003', ('dragon', 0))
    with pytest.raises(ValueError, match=r"000003\.xml: class 'dragon'"):
        read(voc)
    (voc / 'Annotations/000003.xml').write_text('<annotation>')
    with pytest.raises(ValueError, match=r'000003\.xml: not an XML file'):
        read(voc)
    (voc / 'Annotations/000003.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r"000003\.xml.*lists '000003 -1' or '000003'"):
        read(voc)


def test_the_folder_of_xml_files_must_be_named(voc):
    with pytest.raises(ValueError, match="must name the folder of XML files .*, got {'img'"):
        read(voc, data_prefix=dict(img='JPEGImages/'))
