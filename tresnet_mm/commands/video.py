"""Draw boxes, labels, or both, as the model gives them, into a copy of a video.

Examples:
    tresnet-mm video clip.mp4 fcos_tresnet_tiny_shapes epoch_6.pth
    tresnet-mm video clip.mp4 published.safetensors --batch-size 8 --out seen.avi
    tresnet-mm video clip.mp4 fcos_tresnet_tiny_shapes epoch_6.pth --start 0.5 --end 1 --every 5
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from mmengine.structures import BaseDataElement
from rich.progress import track

from ..inference import Inferencer
from ..inference.image_sources import ImageSource
from ..inference.inferencer import Prepared
from ..inference.results import Decision, named_lines
from ..visualization import overlay_text
from .command_line import command, errors_in_one_line, make_parser
from .predict import add_model_arguments, add_prediction_options, threshold_of

#: suffix -> code of the encoding that every build of OpenCV can write
CODES = {'.mp4': 'mp4v', '.mov': 'mp4v', '.avi': 'MJPG', '.mkv': 'MJPG'}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('video', __doc__)
    parser.add_argument('video', type=Path, metavar='VIDEO', help='any file that OpenCV can read')
    add_model_arguments(parser)
    parser.add_argument('--out', type=Path, metavar='FILE',
                        help=f'video to write, {", ".join(CODES)} (default: VIDEO_predicted.mp4)')
    parser.add_argument('--start', type=float, default=0, metavar='SECONDS',
                        help='where to begin (default: %(default)s)')
    parser.add_argument('--end', type=float, default=math.inf, metavar='SECONDS',
                        help="where to stop (default: the video's end)")
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='take every N-th frame only; the copy keeps the speed')
    add_prediction_options(parser)
    args = parser.parse_args(argv)
    args.out = args.out or Path(f'{args.video.stem}_predicted.mp4')
    return args


@dataclass(frozen=True)
class Part:
    """The part of a video that is taken, in frames.

    Attributes:
        start: Number of the first frame, from 0.
        end: Number of the frame behind the last.
        every: Every so-many-th frame is taken.
        fps: Frames a second of the copy.
    """

    start: int
    end: int
    every: int
    fps: float

    def __len__(self) -> int:
        return len(range(self.start, self.end, self.every))


def part_of(reader: mmcv.VideoReader, path: Path, start: float = 0, end: float = math.inf,
            every: int = 1) -> Part:
    """What of a video is asked for.

    Args:
        reader: The opened video.
        path: Its file, for messages.
        start: Where to begin, in seconds.
        end: Where to stop.
        every: Take every so-many-th frame.

    Raises:
        ValueError: If it is no video, or there is nothing at this place of it.
    """
    count, fps = reader.frame_cnt, reader.fps
    if not reader.opened or count < 1 or not fps > 0:
        raise ValueError(f'{path} is no video that OpenCV can read')
    if every < 1:
        raise ValueError(f'--every must be at least 1, got {every}')
    if not 0 <= start < end:
        raise ValueError(f'--start {start:g} should be 0 or more and below --end {end:g}')
    if start * fps >= count:
        raise ValueError(f'--start {start:g} is behind the end of {path}: it has '
                         f'{count / fps:g} seconds')
    return Part(round(start * fps), round(min(end * fps, count)), every, fps / every)


def frames(reader: mmcv.VideoReader, part: Part) -> Iterator[np.ndarray]:
    """The frames of a part of a video, uint8 (H, W, 3) in BGR, as far as they can be read.

    Raises:
        ValueError: If not even the first can be read.
    """
    frame = reader.get_frame(part.start) if part.start else reader.read()
    if frame is None:
        raise ValueError(f'frame {part.start} of {reader.frame_cnt} cannot be read')
    for number in range(part.end - part.start):
        if frame is None:
            return
        if number % part.every == 0:
            yield frame
        frame = reader.read()


def draw_frame(inferencer: Inferencer, frame: Prepared, sample: BaseDataElement,
               decision: Decision) -> np.ndarray:
    """Draw what is predicted on a frame, whose size stays: boxes, labels in the upper left corner.

    Args:
        inferencer: The model.
        frame: The frame as the model got it.
        sample: What the model says of it.
        decision: Which boxes and labels are predicted.

    Returns:
        uint8 (H, W, 3) in RGB.

    Raises:
        ValueError: If a score or a box is no number.
    """
    result = inferencer.postprocess(frame, sample, decision)
    boxes = BaseDataElement()
    if 'pred_instances' in sample:
        boxes.pred_instances = sample.pred_instances
    picture = inferencer.visualize(frame, boxes, decision)
    return overlay_text(picture, [f'{label["score"]:.2f} {label["label"]}'
                                  for label in result.get('labels', ())] + named_lines(result))


@contextmanager
def writer(path: Path, fps: float, size: tuple[int, int]) -> Iterator[cv2.VideoWriter]:
    """Write a video, which appears under its name when it is whole.

    Args:
        path: The file; its suffix decides the encoding.
        fps: Frames a second.
        size: Width and height.

    Raises:
        ValueError: If the suffix is unknown.
        OSError: If it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in CODES:
        raise ValueError(f'--out {path}: the suffix should be one of {", ".join(CODES)}')
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}.part{suffix}')
    code: Any = cv2.VideoWriter.fourcc(*CODES[suffix])
    video = cv2.VideoWriter(str(part), code, fps, size)
    try:
        if not video.isOpened():
            raise OSError(f'OpenCV cannot write {path}')
        yield video
        video.release()
        part.replace(path)
    finally:
        video.release()
        part.unlink(missing_ok=True)


def annotate(inferencer: Inferencer, args: argparse.Namespace) -> tuple[int, int]:
    """Read, predict, draw and write.

    Returns:
        How many frames were written, and how many the file says there are.

    Raises:
        FileNotFoundError: If there is no such video.
        ValueError, OSError: As `part_of`, `writer` and the model's predictions.
    """
    decision = inferencer.decision(args.score_thr, threshold_of(args.threshold), args.top_k)
    with mmcv.VideoReader(str(args.video), cache_capacity=1) as reader:
        part = part_of(reader, args.video, args.start, args.end, args.every)
        taken = frames(reader, part)
        first = next(taken)
        sources = (ImageSource(frame, part.start + number * part.every)
                   for number, frame in enumerate(chain([first], taken)))
        shown = track(sources, description='Predicting', total=len(part))
        written = 0
        with writer(args.out, part.fps, (first.shape[1], first.shape[0])) as video:
            for batch in inferencer.preprocess(shown, args.batch_size, skip_bad=False):
                for frame, sample in zip(batch, inferencer.forward(batch), strict=True):
                    video.write(draw_frame(inferencer, frame, sample, decision)[..., ::-1])
                    written += 1
    return written, len(part)


def check_files(args: argparse.Namespace) -> None:
    """See, before a model is built, that there is a video and another place for its copy.

    Raises:
        FileNotFoundError: If there is no such video.
        ValueError: If the copy would replace it, or a number is out of its range.
    """
    if not args.video.is_file():
        raise FileNotFoundError(f'video {args.video} does not exist')
    if args.out.resolve() == args.video.resolve():
        raise ValueError(f'--out {args.out} is the video itself')
    if args.batch_size < 1:
        raise ValueError(f'--batch-size must be at least 1, got {args.batch_size}')
    with mmcv.VideoReader(str(args.video)) as reader:
        part_of(reader, args.video, args.start, args.end, args.every)


@command('video')
def main(argv: Sequence[str] | None = None) -> None:
    """Predict on a video, and say what was written."""
    args = parse_args(argv)
    with errors_in_one_line('video', OSError, ValueError):
        check_files(args)
        inferencer = Inferencer(args.model, args.weights, args.device, show_progress=False)
        written, expected = annotate(inferencer, args)
    print(f'{written} frames: {args.out}')
    if written < expected:
        print(f'The file says that there are {expected}; the others could not be read.')
