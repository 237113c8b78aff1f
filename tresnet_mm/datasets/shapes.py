"""Synthetic COCO-format images of coloured shapes: small enough to train on in minutes.

Every image is drawn from a random stream of its own, so the first images of two sets that differ
only in their length are the same.
"""

import colorsys
import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from tresnet_mm.datasets.shape_outlines import OUTLINES, SHAPES, draw_mask

HUES = ('red', 'yellow', 'green', 'cyan', 'blue', 'magenta')
SPLITS = ('train', 'val')
MARKER = 'shapes.json'
_FORMAT = 1  # raise it whenever the same parameters give other images
_HUE_JITTER = 0.045  # to either side: the hues of neighbouring classes are 1/6 apart
_PLACEMENT_TRIES = 20


@dataclass(frozen=True)
class ShapesSpec:
    """What a set holds; the same versions of NumPy and OpenCV draw it the same to the bit.

    Args:
        num_train: Training images.
        num_val: Validation images.
        size: Side of the square images in pixels.
        max_objects: Objects an image, drawn uniformly from 1 to this; those that find no room are
            left out.
        num_shapes: The first so many of ``SHAPES`` are used.
        by_hue: Whether the hue is part of the class (``num_shapes * 6`` classes) or hints at it.
        typical_hue: Without ``by_hue``: share of objects, in [0, 1], with the hue typical of their
            class; the others have any.
        radius: Range of the circumscribed radius as a share of the side; drawn log-uniformly.
        min_visible: Share of each object's area, in [0, 1], that later objects leave uncovered.
        seed: Seed of everything drawn, 0 or more.
    """

    num_train: int = 2000
    num_val: int = 200
    size: int = 128
    max_objects: int = 5
    num_shapes: int = 6
    by_hue: bool = False
    typical_hue: float = 0.8
    radius: tuple[float, float] = (0.09, 0.28)
    min_visible: float = 0.45
    seed: int = 0

    def __post_init__(self) -> None:
        lowest = dict(num_train=1, num_val=1, size=32, max_objects=1, seed=0)
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise ValueError(f'{name} must be at least {low}, got {getattr(self, name)}')
        if not 1 <= self.num_shapes <= len(SHAPES):
            raise ValueError(f'num_shapes must be in [1, {len(SHAPES)}], got {self.num_shapes}')
        if not 0 < self.radius[0] <= self.radius[1] < 0.5:
            raise ValueError(f'radius must be 0 < low <= high < 0.5 of the side, got {self.radius}')
        for name in ('typical_hue', 'min_visible'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {getattr(self, name)}')

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the labels: shape by shape, and hue by hue inside a shape."""
        shapes = SHAPES[: self.num_shapes]
        if not self.by_hue:
            return shapes
        return tuple(f'{hue} {shape}' for shape in shapes for hue in HUES)

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON gives them back, with the version of the drawing."""
        return json.loads(json.dumps(dict(asdict(self), format=_FORMAT)))


#: 6 classes for detection and dense multi-label classification.
SHAPES_SET = ShapesSpec()
#: 48 classes of shape x hue with about 5 % positives, as sparse as COCO's labels.
SPARSE_SHAPES_SET = ShapesSpec(
    num_train=3000, num_val=600, size=96, max_objects=4, num_shapes=8, by_hue=True
)


def make_shapes(root: str | Path, spec: ShapesSpec = SHAPES_SET) -> bool:
    """Write the set under ``root`` unless it stands there already, whole and made from ``spec``.

    The set is drawn into a folder beside ``root`` and renamed when it is whole, so an interrupted
    run leaves nothing under ``root``; processes that ask for the same set wait for each other. Its
    layout is COCO's:

        root/annotations/instances_{train,val}.json    root/{train,val}/000001.jpg

    Args:
        root: Folder of the set.
        spec: What it holds.

    Returns:
        Whether the set was drawn (False: it was there).

    Raises:
        FileExistsError: ``root`` holds something that is not a set of shapes; it is left alone.
    """
    root = Path(root).absolute()
    root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.with_name(f'.{root.name}.lock')):
        if is_complete(root, spec):
            return False
        if root.exists() and any(root.iterdir()) and not (root / MARKER).exists():
            raise FileExistsError(
                f'{root} holds files that are not a set of shapes (there is no {MARKER} in it): '
                'move them away or name another folder'
            )
        partial = root.with_name(f'.{root.name}.partial')
        shutil.rmtree(partial, ignore_errors=True)
        for index, split in enumerate(SPLITS):
            _write_split(partial, spec, split, stream=index)
        files = [_annotations(split) for split in SPLITS]
        sizes = {str(file): (partial / file).stat().st_size for file in files}
        (partial / MARKER).write_text(json.dumps(dict(spec=spec.to_dict(), sizes=sizes), indent=2))
        if root.exists():
            shutil.rmtree(root)
        partial.rename(root)
    return True


def is_complete(root: str | Path, spec: ShapesSpec) -> bool:
    """Whether ``root`` holds every file of the set that ``spec`` describes."""
    root = Path(root)
    counts = dict(zip(SPLITS, (spec.num_train, spec.num_val), strict=True))
    try:
        marker = json.loads((root / MARKER).read_text())
        return (
            marker['spec'] == spec.to_dict()
            and all((root / file).stat().st_size == n for file, n in marker['sizes'].items())
            and all(_count_images(root / split) == n for split, n in counts.items())
        )
    except (OSError, ValueError, KeyError, TypeError):  # no marker, or one that was cut off
        return False


def draw_image(
    spec: ShapesSpec, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Draw one image.

    Args:
        spec: What to draw.
        rng: Where randomness comes from.

    Returns:
        The image, uint8 (size, size, 3) in RGB, and for each object its label and the mask, bool
        (size, size), of what is left visible of it.
    """
    canvas = _background(spec.size, rng)
    labels: list[int] = []
    visible: list[np.ndarray] = []
    areas: list[float] = []
    for _ in range(rng.integers(1, spec.max_objects + 1)):
        label = int(rng.integers(len(spec.class_names)))
        shape = SHAPES[label // len(HUES) if spec.by_hue else label]
        mask = _place(spec, shape, visible, areas, rng)
        if mask is None:
            continue
        colour = np.array(_colour(spec, label, rng), np.float32)
        canvas += mask[..., None] * (colour - canvas)
        visible = [v * (1 - mask) for v in visible] + [mask]
        areas.append(float(mask.sum()))
        labels.append(label)
    canvas += 3 * rng.standard_normal(canvas.shape, np.float32)
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    return image, [(label, mask > 0.5) for label, mask in zip(labels, visible, strict=True)]


def _place(
    spec: ShapesSpec,
    shape: str,
    visible: list[np.ndarray],
    areas: list[float],
    rng: np.random.Generator,
) -> np.ndarray | None:
    """A mask that hides none of the objects so far by too much, or None where none was found."""
    radius = spec.size * np.exp(rng.uniform(*np.log(spec.radius)))
    for _ in range(_PLACEMENT_TRIES):
        centre = rng.uniform(radius, spec.size - radius, 2)
        mask = draw_mask(OUTLINES[shape], centre, radius, rng.uniform(0, 2 * np.pi), spec.size)
        left = [float((v * (1 - mask)).sum()) for v in visible]
        if all(now >= spec.min_visible * area for now, area in zip(left, areas, strict=True)):
            return mask
    return None


def _colour(spec: ShapesSpec, label: int, rng: np.random.Generator) -> tuple[float, ...]:
    """RGB in [0, 255] of an object of this class."""
    if spec.by_hue:
        hue = label % len(HUES) / len(HUES) + rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    elif rng.random() < spec.typical_hue:
        hue = label / spec.num_shapes + rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    else:
        hue = rng.random()
    saturation, value = rng.uniform(0.55, 1, 2)
    return tuple(255 * c for c in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """A muted, smooth texture: float32 (size, size, 3) in about [50, 200]."""
    cells = int(rng.integers(3, 9))
    grey = rng.uniform(60, 190) + rng.normal(0, 18, (cells, cells, 1))
    texture = (grey + rng.normal(0, 9, (cells, cells, 3))).astype(np.float32)
    return cv2.resize(texture, (size, size), interpolation=cv2.INTER_CUBIC)


def _write_split(root: Path, spec: ShapesSpec, split: str, stream: int) -> None:
    """Write the images of one split and their COCO instance file."""
    (root / split).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(spec.num_train if split == 'train' else spec.num_val):
        image, objects = draw_image(spec, np.random.default_rng((spec.seed, stream, index)))
        file = root / split / f'{index + 1:06d}.jpg'
        if not cv2.imwrite(str(file), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'could not write {file}')
        images.append(dict(id=index + 1, file_name=file.name, width=spec.size, height=spec.size))
        for label, mask in objects:
            ids = dict(id=len(annotations) + 1, image_id=index + 1, category_id=label + 1)
            annotations.append(dict(**ids, **_annotation(mask)))
    names = enumerate(spec.class_names)
    instances = dict(
        info=dict(description='shapes', **spec.to_dict()),
        images=images,
        annotations=annotations,
        categories=[dict(id=i + 1, name=name, supercategory='shape') for i, name in names],
    )
    target = root / _annotations(split)
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(instances))


def _annotation(mask: np.ndarray) -> dict[str, Any]:
    """COCO's box (x, y, width, height in pixels), area and run-length code of a mask."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(
        bbox=coco_mask.toBbox(rle).tolist(),
        area=int(coco_mask.area(rle)),
        iscrowd=0,
        segmentation=dict(size=rle['size'], counts=rle['counts'].decode()),
    )


def _count_images(folder: Path) -> int:
    return sum(file.stat().st_size > 0 for file in folder.glob('*.jpg'))


def _annotations(split: str) -> Path:
    return Path('annotations') / f'instances_{split}.json'


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system drops it should the process die."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
