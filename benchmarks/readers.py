"""Time and memory that the readers take for files made to waste them, beside sound ones.

Each file is read in a process of its own, so that the peak of its memory is its own too.
"""
from __future__ import annotations

import argparse
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope

from tresnet_mm.checkpoint import read_source

MIB = 1 << 20


# What is made: each writes one file, or a name of one, into a folder.

def checkpoint(folder: Path, size: int = 64) -> None:
    """A sound checkpoint of ``size`` MiB."""
    torch.save({'state_dict': {str(i): torch.rand(MIB // 4) for i in range(size)}},
               folder / 'x.pth')


def with_pickle(operations: bytes) -> Callable[[Path], None]:
    """A checkpoint whose pickle is made of these operations."""
    def make(folder: Path) -> None:
        torch.save({'w': torch.ones(2)}, folder / 'sound.pth')
        with zipfile.ZipFile(folder / 'sound.pth') as old, \
                zipfile.ZipFile(folder / 'x.pth', 'w') as new:
            for info in old.infolist():
                pickled = info.filename.endswith('data.pkl')
                new.writestr(info.filename, b'\x80\x02' + operations + b'.' if pickled
                             else old.read(info))
    return make


def compressed(folder: Path) -> None:
    """A checkpoint of 1 MiB whose pickle unpacks to 1 GiB."""
    with zipfile.ZipFile(folder / 'x.pth', 'w', zipfile.ZIP_DEFLATED) as archive, \
            archive.open('x/data.pkl', 'w') as record:
        for _ in range(1024):
            record.write(bytes(MIB))


def picture(width: int, height: int) -> Callable[[Path], None]:
    """A PNG whose header claims a size."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))

    def make(folder: Path) -> None:
        rows = zlib.compressobj()
        data = b''.join(rows.compress(bytes(3 * width + 1)) for _ in range(height))
        (folder / 'x.png').write_bytes(
            b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0,
                                                              0, 0))
            + chunk(b'IDAT', data + rows.flush()) + chunk(b'IEND', b''))
    return make


def link(target: str) -> Callable[[Path], None]:
    """A picture that is something else."""
    return lambda folder: (folder / 'x.png').symlink_to(target)


def xml(text: str) -> Callable[[Path], None]:
    """A VOC folder of one image."""
    def make(folder: Path) -> None:
        (folder / 'list.txt').write_text('x\n')
        (folder / 'Annotations').mkdir()
        (folder / 'Annotations/x.xml').write_text(text)
    return make


def instances(images: int, annotations: int) -> Callable[[Path], None]:
    """A COCO file."""
    def make(folder: Path) -> None:
        boxes = [dict(id=i, image_id=i % images, category_id=1, bbox=[5, 5, 20, 20], area=400,
                      iscrowd=0) for i in range(annotations)]
        (folder / 'x.json').write_text(json.dumps(dict(
            images=[dict(id=i, file_name=f'{i}.jpg', width=640, height=480)
                    for i in range(images)],
            categories=[dict(id=1, name='cat')], annotations=boxes)))
    return make


def nested(folder: Path) -> None:
    """JSON of a million brackets."""
    (folder / 'x.json').write_text('[' * 1_000_000)


# What reads it.

def read_checkpoint(folder: Path) -> None:
    """As ``load_from`` does."""
    read_source(str(folder / 'x.pth'))


def read_picture(folder: Path) -> None:
    """As the pipelines of both tasks do."""
    TRANSFORMS.build(dict(type='LoadImageChecked'))(dict(img_path=str(folder / 'x.png')))


def read_voc(folder: Path) -> None:
    """As a data set of image labels."""
    DATASETS.build(dict(type='VOCMultiLabel', ann_file='list.txt', data_root=str(folder)))


def read_instances(folder: Path) -> None:
    """As a data set of image labels."""
    DATASETS.build(dict(type='CocoMultiLabel', ann_file='x.json', data_root=str(folder)))


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">' + ''.join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip('bcdefghi', 'cdefghij', strict=True)
) + ']><annotation><object><name>&j;</name></object></annotation>'
CASES: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    'sound checkpoint of 64 MiB': (checkpoint, read_checkpoint),
    'checkpoint that unpacks to 1 GiB': (compressed, read_checkpoint),
    'checkpoint of 3 million operations': (with_pickle(b'N' * 3_000_000), read_checkpoint),
    'checkpoint of 1 million levels': (
        with_pickle(b')' + b'\x85' * 1_000_000), read_checkpoint),
    'sound picture of 4,000 x 3,000 px': (picture(4000, 3000), read_picture),
    'picture of 30,000 x 30,000 px': (picture(30_000, 30_000), read_picture),
    'picture that is /dev/zero': (link('/dev/zero'), read_picture),
    'sound COCO file of 20,000 images': (instances(20_000, 150_000), read_instances),
    'JSON of 1 million brackets': (nested, read_instances),
    'XML whose entities unpack to 1 GB': (xml(BOMB), read_voc),
    'XML of 300,000 levels': (xml('<a>' * 300_000), read_voc),
}


def measure(name: str) -> dict[str, Any]:
    """Make and read one file here: seconds, MiB that the peak grew by, and how it ended."""
    init_default_scope('mmdet')
    make, read = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, '-m', __spec__.name,
                        'make', name, folder], check=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, ended = time.process_time(), 'read'
        try:
            read(Path(folder))
        except (ValueError, OSError) as error:
            ended = str(error).replace(folder + '/', '')[:100]
        return dict(what=name, seconds=round(time.process_time() - start, 2), mib=round(
            (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024), ended=ended)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows of the subject ``readers``."""
    names = list(CASES)[::3] if args.quick else list(CASES)
    rows = []
    for name in names:
        done = subprocess.run([sys.executable, '-m', __name__, 'measure', name], check=True,
                              capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return rows


if __name__ == '__main__':
    if sys.argv[1] == 'make':
        CASES[sys.argv[2]][0](Path(sys.argv[3]))
    else:
        import tresnet_mm  # noqa: F401
        print(json.dumps(measure(sys.argv[2])))
