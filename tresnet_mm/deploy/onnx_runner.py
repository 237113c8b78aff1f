"""Runs the files of ``tresnet-mm export`` where only onnxruntime, NumPy and Pillow are installed.

This file stands alone: copy it. In Python

    runner = OnnxRunner('model.onnx')
    for result in runner(['a.jpg', 'b.jpg']):
        print(result['boxes'])

and on the command line, which prints a JSON object for each image:

    python onnx_runner.py model.onnx a.jpg b.jpg
"""
from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 178_956_970
#: Formats that hold pixels and nothing else; EPS would start a program.
FORMATS = ('AVIF', 'BMP', 'DIB', 'GIF', 'JPEG', 'JPEG2000', 'MPO', 'PNG', 'PPM', 'SUN', 'TGA',
           'TIFF', 'WEBP')
TASKS = ('multilabel', 'single-label', 'detection', 'joint')
MODES = ('squash', 'letterbox', 'short-side', 'none')
#: Above which a label is predicted where the file has no thresholds.
DEFAULT_THRESHOLD = 0.5


class OnnxRunner:
    """Runs an exported classifier, detector, or model that is both, on images.

    Args:
        path: File of ``tresnet-mm export``, its preprocessing inside or not.
        threads: Threads of onnxruntime inside an operation; None takes one for each core.

    Attributes:
        task (str): 'multilabel', 'single-label', 'detection' or 'joint'.
        classes (list[str]): Names of the boxes' classes, or of a classifier's.

    Raises:
        OSError: There is no such file.
        ValueError: It is damaged, or no file of ``tresnet-mm export`` that says how its images are
            prepared.
    """

    def __init__(self, path: str | os.PathLike, threads: int | None = None) -> None:
        self.path = os.fspath(path)
        if not os.path.isfile(self.path):
            raise FileNotFoundError(f'{self.path} does not exist')
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        try:
            self.session = onnxruntime.InferenceSession(
                self.path, options, providers=onnxruntime.get_available_providers())
        except Exception as error:  # the library's, which share no base of their own
            raise ValueError(f'{self.path} is damaged or no ONNX file: {error}') from error
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]
        said = self.session.get_modelmeta().custom_metadata_map
        if said.get('task') not in TASKS or self.inputs not in (['images', 'sizes'], ['pixels']):
            raise ValueError(f'{self.path} was not written by tresnet-mm export')
        self.task: str = said['task']
        self.classes: list[str] = self._read(said, 'classes', _is_names, [])
        self.thresholds = self._read(said, 'thresholds', _is_numbers, None)
        self.image_heads = self._read(said, 'image_heads', _is_heads, {})
        self.mask_threshold = self._read(said, 'mask_threshold', _is_number, 0.5)
        if 'preprocessing' not in said:
            raise ValueError(f'{self.path} does not say how its images are prepared: export it '
                             'again, with its test pipeline')
        self.preprocessing = self._read(said, 'preprocessing', _is_preprocessing, {})
        self._check_counts()

    def __call__(self, images: Any, batch_size: int = 1, score_thr: float = 0.3
                 ) -> list[dict[str, Any]]:
        """Predict on images.

        Images that are padded to another size never share a batch, so that each gets what it gets
        alone.

        Args:
            images: A path, a Pillow image, or pixels uint8 (H, W, 3) in **RGB**, or a list of them.
            batch_size: Images at once.
            score_thr: Give the boxes of a higher score.

        Returns:
            For each image a dict, as tresnet_mm's ``Inferencer`` gives it: ``path`` (None for
            pixels), ``width`` and ``height``; of a detector ``boxes``, a list of ``dict(label,
            label_id, score, bbox)``, best first, with ``bbox`` [x1, y1, x2, y2] in pixels of the
            image and, of a model of masks, ``mask``, a boolean array (height, width); of a model
            that labels images ``labels``, a list of ``dict(label, label_id, score)`` of those above
            their thresholds, and ``scores``, the probability of each class by name; with named
            heads ``image_labels``, ``dict(labels, scores)`` of each.

        Raises:
            OSError: An image does not exist.
            ValueError: It is none, or the file gives what is no number.
        """
        items = list(images) if isinstance(images, (list, tuple)) else [images]
        results: list[Any] = [None] * len(items)
        for chunk in _chunks(range(len(items)), batch_size):
            groups: dict[tuple, list] = {}
            for number in chunk:
                prepared = self._prepare(items[number], f'images[{number}]')
                groups.setdefault(prepared['group'], []).append((number, prepared))
            for group in groups.values():
                numbers, batch = zip(*group, strict=True)
                for number, result in zip(numbers, self._run(batch, score_thr), strict=True):
                    results[number] = result
        return results

    def _read(self, said: dict[str, str], key: str, is_right: Callable[[Any], bool],
              absent: Any) -> Any:
        """A part of the metadata, checked."""
        if key not in said:
            return absent
        try:
            value = json.loads(said[key])
            right = is_right(value)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            right = False
        if not right:
            raise ValueError(f'{self.path}: the {key} in its metadata are damaged: '
                             f'{said[key]:.80}')
        return value

    def _check_counts(self) -> None:
        """See that names and thresholds are as many as the scores, where there are any."""
        count = {node.name: node.shape[-1] for node in self.session.get_outputs()}
        own = count.get('label_scores' if 'boxes' in count else 'scores')
        parts = [(own, self.classes), (own, self.thresholds)]
        for name, head in self.image_heads.items():
            parts += [(count.get(f'label_scores.{name}', 0), head[key]) for key in
                      ('classes', 'thresholds')]
        for wanted, values in parts:
            if isinstance(wanted, int) and values and len(values) != wanted:
                raise ValueError(f'{self.path}: its metadata name {len(values)} classes or '
                                 f'thresholds for {wanted} scores')

    def _prepare(self, item: Any, name: str) -> dict[str, Any]:
        """Read an image, and make the input of it."""
        path = os.fsdecode(item) if isinstance(item, (str, os.PathLike)) else None
        pixels = read_image(item if path is None else path, name)
        height, width = pixels.shape[:2]
        image: dict[str, Any] = dict(path=path, size=(height, width))
        if self.inputs == ['pixels']:
            return dict(image, input=pixels, group=pixels.shape, scale=np.ones(2, np.float32))
        resized, shape = prepare_pixels(pixels, self.preprocessing)
        scale = np.array([shape[1] / width, shape[0] / height], np.float32)
        divisor, value = self.preprocessing['pad_divisor'], self.preprocessing['pad_value']
        sides = resized.shape[1:]
        below = [(0, -side % divisor) for side in sides]
        padded = np.pad(resized, [(0, 0), *below], constant_values=value)
        return dict(image, input=padded, sides=sides, group=padded.shape, scale=scale)

    def feed(self, image: Any) -> dict[str, np.ndarray]:
        """The file's inputs by name, a batch of one image as calls take it: for calibration."""
        return self._feed([self._prepare(image, 'the image')])

    def _feed(self, batch: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        feed = {self.inputs[0]: np.stack([image['input'] for image in batch])}
        if 'sizes' in self.inputs:
            feed['sizes'] = np.array([image['sides'] for image in batch], np.int64)
        return feed

    def _run(self, batch: Sequence[dict[str, Any]], score_thr: float) -> Iterator[dict[str, Any]]:
        """The results of images that share a pass."""
        values = self.session.run(None, self._feed(batch))
        found = dict(zip(self.outputs, values, strict=True))
        for name, values in found.items():
            if not np.isfinite(values).all():
                raise ValueError(f'{self.path} gives {name} that are NaN or infinite')
        for number, image in enumerate(batch):
            height, width = image['size']
            result = dict(path=image['path'], width=width, height=height)
            if 'boxes' in found:
                result['boxes'] = self._boxes(found, number, image, score_thr)
            scores = found.get('label_scores' if 'boxes' in found else 'scores')
            if scores is not None:
                result.update(_labels(scores[number], self.classes, self.thresholds,
                                      self.task == 'single-label'))
            named = {name: _labels(found[f'label_scores.{name}'][number], head['classes'],
                                   head['thresholds'], head['kind'] == 'single-label')
                     for name, head in self.image_heads.items()}
            if named:
                result['image_labels'] = named
            yield result

    def _boxes(self, found: dict[str, np.ndarray], number: int, image: dict[str, Any],
               score_thr: float) -> list[dict[str, Any]]:
        kept = np.flatnonzero((found['image_ids'] == number) & (found['scores'] > score_thr))
        kept = kept[np.argsort(-found['scores'][kept], kind='stable')]
        corners = found['boxes'][kept] / np.tile(image['scale'], 2)
        boxes = [dict(_labelled(self.classes, label, score), bbox=box.tolist()) for label, score,
                 box in zip(found['labels'][kept], found['scores'][kept], corners, strict=True)]
        if 'masks' in found:
            for box, corner, mask in zip(boxes, corners, found['masks'][kept], strict=True):
                box['mask'] = paste_mask(mask, corner, image['size'], self.mask_threshold)
        return boxes


def read_image(item: Any, name: str) -> np.ndarray:
    """The pixels uint8 (H, W, 3) in RGB of a path, a Pillow image, or such pixels.

    The first frame of an animated file; colours without their transparency; 16 bits scaled to 8;
    turned as EXIF says.

    Args:
        item: The image.
        name: What messages call it where it has no path.

    Raises:
        OSError: The file does not exist.
        ValueError: It is no image, or too large.
    """
    if isinstance(item, np.ndarray):
        if item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3 or not item.size:
            raise ValueError(f'{name} should be pixels uint8 (height, width, 3) in RGB, got '
                             f'{item.dtype} {item.shape}')
        return item
    if isinstance(item, Image.Image):
        return _pixels(item)
    if not isinstance(item, str):
        raise ValueError(f'{name} should be a path, a Pillow image or an array, got '
                         f'{type(item).__name__}')
    if not os.path.isfile(item):
        raise FileNotFoundError(f'image {item!r} does not exist, or is no file')
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours takes its place
    try:
        Image.init()
        formats = [kind for kind in FORMATS if kind in Image.OPEN]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(item, formats=formats) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f'it has more than {MAX_PIXELS} pixels')
                return _pixels(image)
    except UnidentifiedImageError:
        raise ValueError(f'image {item!r} cannot be read: it is in no known format') from None
    except Exception as error:  # decoders raise many kinds
        raise ValueError(f'image {item!r} cannot be read: {error}') from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _pixels(image: Image.Image) -> np.ndarray:
    image.load()  # what some formats say of the orientation stands behind the pixels
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f'mode {image.mode} with levels beyond 16 bits is not supported')
        image = Image.fromarray((levels >> 8).astype(np.uint8))
    elif image.mode == 'F':
        raise ValueError('mode F (pixels that are no integers) is not supported')
    elif image.mode in ('LA', 'La'):
        image = image.convert('LA').getchannel('L')
    elif image.mode == 'PA':
        image = image.convert('RGBA')
    return np.asarray(image.convert('RGB'))


def prepare_pixels(pixels: np.ndarray, how: dict[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """Resize, cut and normalise an image.

    Args:
        pixels: uint8 (H, W, 3) in RGB.
        how: The file's ``preprocessing``.

    Returns:
        float32 (3, h, w), and the (height, width) that it was resized to.
    """
    height, width = shape = _resized(pixels.shape[0], pixels.shape[1], how)
    if how['mode'] != 'none':
        resize = resize_as_pillow if how['resample'] == 'pillow' else resize_as_opencv
        pixels = resize(pixels, height, width)
    if how['channels'] == 'bgr':
        pixels = pixels[..., ::-1]
    if 'crop' in how:
        top, left = (max(0, round((side - wanted) / 2)) for side, wanted in
                     zip(pixels.shape, how['crop'], strict=False))
        pixels = pixels[top:top + how['crop'][0], left:left + how['crop'][1]]
    if 'canvas' in how:
        sides = np.maximum(how['canvas'], pixels.shape[:2])
        canvas = np.full((*sides, 3), how['canvas_value'], np.uint8)
        canvas[:pixels.shape[0], :pixels.shape[1]] = pixels
        pixels = canvas
    mean, std = (np.array(how[name], np.float32) for name in ('mean', 'std'))
    return ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1), shape


def _resized(height: int, width: int, how: dict[str, Any]) -> tuple[int, int]:
    if how['mode'] == 'squash':
        height, width = how['size']
    elif how['mode'] == 'short-side':
        side, short = how['size'][0], min(height, width)
        height, width = side * height // short, side * width // short
    elif how['mode'] == 'letterbox':
        factor = min(max(how['size']) / max(height, width), min(how['size']) / min(height, width))
        height, width = int(height * factor + 0.5), int(width * factor + 0.5)
    return height, width


def resize_as_pillow(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 (H, W, 3) bilinearly, anti-aliased."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


def resize_as_opencv(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 (H, W, 3) bilinearly to the levels that OpenCV's ``INTER_LINEAR`` gives."""
    left, right, of_left, of_right = _neighbours(pixels.shape[1], width)
    edge = (left < 0) | (left >= pixels.shape[1] - 1)  # OpenCV gives the edge pixel all weight
    of_left, of_right = np.where(edge, 2048, of_left), np.where(edge, 0, of_right)
    left, right = (x.clip(0, pixels.shape[1] - 1) for x in (left, right))
    wide = pixels.astype(np.int32)
    wide = (wide[:, left] * of_left[:, None] + wide[:, right] * of_right[:, None]) >> 4
    above, below, of_above, of_below = _neighbours(pixels.shape[0], height)
    above, below = (x.clip(0, pixels.shape[0] - 1) for x in (above, below))
    result = ((wide[above] * of_above[:, None, None]) >> 16) + (
        (wide[below] * of_below[:, None, None]) >> 16)
    return ((result + 2) >> 2).clip(0, 255).astype(np.uint8)


def _neighbours(length: int, wanted: int) -> tuple[np.ndarray, ...]:
    """The two pixels that each new one lies between, and their weights in 1/2048."""
    place = ((np.arange(wanted) + 0.5) * (1 / (wanted / length)) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    part = place - first.astype(np.float32)
    weights = (np.rint(x * np.float32(2048)).astype(np.int32) for x in (np.float32(1) - part, part))
    return first, first + 1, *weights


def paste_mask(mask: np.ndarray, box: np.ndarray, size: tuple[int, int], threshold: float
               ) -> np.ndarray:
    """The pixels (height, width), boolean, of a mask of probabilities (h, w) that fills a box."""
    result = np.zeros(size, bool)
    x1, y1, x2, y2 = (float(side) for side in box)
    left, top = max(0, math.floor(x1) - 1), max(0, math.floor(y1) - 1)
    right, bottom = min(size[1], math.ceil(x2) + 1), min(size[0], math.ceil(y2) + 1)
    if x2 <= x1 or y2 <= y1 or left >= right or top >= bottom:
        return result
    rows = _sampling(np.arange(top, bottom), y1, y2, mask.shape[0])
    columns = _sampling(np.arange(left, right), x1, x2, mask.shape[1])
    result[top:bottom, left:right] = rows @ mask.astype(np.float32) @ columns.T >= threshold
    return result


def _sampling(pixels: np.ndarray, start: float, end: float, cells: int) -> np.ndarray:
    """The weights (pixels, cells) of linear interpolation between cells, 0 outside of them."""
    place = (pixels.astype(np.float32) + 0.5 - start) / (end - start) * cells - 0.5
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells, dtype=np.float32)))


def _labels(scores: np.ndarray, classes: Sequence[str], thresholds: Sequence[float] | None,
            one_label: bool) -> dict[str, Any]:
    """The predicted labels of an image, best first, and all scores (num_classes,) by name."""
    ranked = np.argsort(-scores, kind='stable')
    above = scores > np.asarray(DEFAULT_THRESHOLD if thresholds is None else thresholds,
                                np.float32)
    chosen = ranked[:1] if one_label else ranked[above[ranked]]
    return dict(labels=[_labelled(classes, index, scores[index]) for index in chosen],
                scores={_name(classes, index): float(score) for index, score in
                        enumerate(scores)})


def _labelled(classes: Sequence[str], index: int, score: float) -> dict[str, Any]:
    return dict(label=_name(classes, index), label_id=int(index), score=float(score))


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else str(index)


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    if size < 1:
        raise ValueError(f'batch_size must be at least 1, got {size}')
    return (items[start:start + size] for start in range(0, len(items), size))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_numbers(value: Any, count: int | None = None) -> bool:
    return (isinstance(value, list) and all(map(_is_number, value))
            and (count is None or len(value) == count))


def _is_heads(value: Any) -> bool:
    return all(_is_names(head['classes']) and head['kind'] in TASKS and (
        head['thresholds'] is None or _is_numbers(head['thresholds']))
        for head in value.values())


def _is_preprocessing(value: Any) -> bool:
    sizes = [value[key] for key in ('size', 'crop', 'canvas') if key in value]
    return (value['mode'] in MODES and (value['mode'] == 'none' or 'size' in value)
            and value['resample'] in ('pillow', 'opencv') and value['channels'] in ('rgb', 'bgr')
            and all(_is_numbers(size, 2) and min(size) >= 1 and set(map(type, size)) == {int}
                    for size in sizes)
            and ('canvas' not in value or _is_numbers(value['canvas_value'], 3))
            and _is_numbers(value['mean'], 3) and _is_numbers(value['std'], 3)
            and all(value['std']) and type(value['pad_divisor']) is int
            and value['pad_divisor'] >= 1 and _is_number(value['pad_value']))


def _in_json(mask: Any) -> Any:
    """A mask as COCO's uncompressed run-length code: lengths down the columns, 0 first."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return dict(size=list(mask.shape), counts=[0, *counts] if flat[0] else counts)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a JSON object for each image."""
    parser = argparse.ArgumentParser(description='Run a file of tresnet-mm export on images.')
    parser.add_argument('file', help='ONNX file')
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='image file')
    parser.add_argument('--score-thr', type=float, default=0.3, metavar='P',
                        help='give the boxes of a higher score (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, metavar='N', help='images at once')
    parser.add_argument('--threads', type=int, metavar='N', help='threads (default: one a core)')
    args = parser.parse_args(argv)
    try:
        runner = OnnxRunner(args.file, args.threads)
        for paths in _chunks(args.images, args.batch_size):
            for result in runner(list(paths), args.batch_size, args.score_thr):
                print(json.dumps(result, default=_in_json), flush=True)
    except (OSError, ValueError) as error:
        print(f'onnx_runner: error: {" ".join(str(error).split())}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
