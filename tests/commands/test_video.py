"""``tresnet-mm video``: which frames are taken, what is drawn on them, and what is left behind."""

import shlex
from contextlib import contextmanager
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from tests.commands.test_examples import examples
from tests.inference.conftest import trained  # noqa: F401
from tests.inference.test_inferencer import publish
from tresnet_mm import Inferencer
from tresnet_mm.__main__ import main
from tresnet_mm.commands import video
from tresnet_mm.config_files import read_config
from tresnet_mm.visualization import overlay_text

COUNT, FPS, SIZE = 12, 10, (96, 64)


def grey(number: int) -> int:
    """How bright a frame is, which tells it from the others."""
    return 20 + 15 * number


@pytest.fixture()
def clip(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    written = cv2.VideoWriter('clip.avi', cv2.VideoWriter.fourcc(*'MJPG'), FPS, SIZE)
    noise = np.random.default_rng(0).integers(-15, 15, (SIZE[1], SIZE[0], 3))
    for number in range(COUNT):
        written.write((grey(number) + noise).astype(np.uint8))
    written.release()
    return tmp_path / 'clip.avi'


def numbers(path: Path) -> list[int]:
    """Which frames of the clip a video shows, by their brightness."""
    with mmcv.VideoReader(str(path)) as reader:
        assert reader.resolution == SIZE
        return [round((float(np.median(frame)) - 20) / 15) for frame in reader]


@pytest.mark.parametrize(('options', 'frames', 'fps'), [
    ([], range(12), 10), (['--start', '0.3', '--end', '0.8'], range(3, 8), 10),
    (['--every', '5'], [0, 5, 10], 2), (['--start', '0.5', '--every', '3'], [5, 8, 11], 10 / 3),
    (['--end', '99', '--start', '1.1'], [11], 10)])
def test_the_frames_that_are_asked_for(options, frames, fps, clip, trained, capsys):  # noqa: F811
    config, weights = map(str, trained['detector'])
    main(['video', 'clip.avi', config, weights, '--out', 'new/seen.avi', '--score-thr', '1',
          '--batch-size', '2', *options])
    assert numbers(clip.parent / 'new/seen.avi') == list(frames)
    with mmcv.VideoReader('new/seen.avi') as reader:
        assert reader.fps == pytest.approx(fps, rel=1e-3)
    assert capsys.readouterr().out.endswith(f'{len(frames)} frames: new/seen.avi\n')
    assert [path.name for path in Path('new').iterdir()] == ['seen.avi']


@pytest.mark.parametrize('kind', ['classifier', 'detector', 'joint'])
def test_what_is_drawn_is_what_single_images_give(kind, clip, trained, monkeypatch):  # noqa: F811
    drawn = []

    @contextmanager
    def collector(path, fps, size):
        yield type('Video', (), dict(write=staticmethod(drawn.append)))

    monkeypatch.setattr(video, 'writer', collector)
    config, weights = map(str, trained[kind])
    main(['video', 'clip.avi', config, weights, '--batch-size', '3', '--score-thr', '0.01',
          '--threshold', '0'])
    inferencer = Inferencer(config, weights, 'cpu', show_progress=False)
    with mmcv.VideoReader('clip.avi') as reader:
        frames = list(reader)
    assert len(drawn) == len(frames) == COUNT
    for frame, picture in list(zip(frames, drawn, strict=True))[::5]:
        assert picture.shape == frame.shape
        (result,) = inferencer(frame, score_thr=0.01, threshold=0)
        expected = frame[..., ::-1]
        if 'boxes' in result:
            assert result['boxes']
            batch = next(inferencer.preprocess([video.ImageSource(frame, 0)], 1, skip_bad=False))
            (sample,) = inferencer.forward(batch)
            sample.pop('pred_scores', None)
            expected = inferencer.visualize(batch[0], sample, inferencer.decision(0.01))
            assert (expected != frame[..., ::-1]).any()
        if 'labels' in result:
            expected = overlay_text(
                expected, [f'{label["score"]:.2f} {label["label"]}' for label in result['labels']])
        np.testing.assert_array_equal(picture[..., ::-1], expected)


@pytest.mark.parametrize('line', examples('video'))
def test_the_examples_of_the_help(line, clip, trained, capsys):  # noqa: F811
    arguments = shlex.split(line)[1:]
    clip.rename('clip.mp4')  # OpenCV goes by what is in the file
    publish(Path('published.safetensors'), Inferencer(*map(str, trained['joint']), device='cpu'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(read_config('fcos_tresnet_tiny_shapes').model)
    torch.save(dict(state_dict=model.state_dict()), 'epoch_6.pth')
    assert main(arguments) is None
    out = Path('seen.avi' if '--out' in arguments else 'clip_predicted.mp4')
    with mmcv.VideoReader(str(out)) as reader:
        assert len(list(reader)) == (1 if '--every' in arguments else COUNT)


@pytest.mark.parametrize(('arguments', 'message'), [
    (['no.mp4'], 'video no.mp4 does not exist'),
    (['text.mp4'], 'text.mp4 is no video that OpenCV can read'),
    (['clip.avi', '--out', './clip.avi'], '--out clip.avi is the video itself'),
    (['clip.avi', '--out', 'seen.gif'], 'the suffix should be one of .mp4, .mov, .avi, .mkv'),
    (['clip.avi', '--start', '2'], '--start 2 is behind the end of clip.avi: it has 1.2 seconds'),
    (['clip.avi', '--start', '1', '--end', '1'], '--start 1 should be 0 or more and below --end 1'),
    (['clip.avi', '--every', '0'], '--every must be at least 1, got 0'),
    (['clip.avi', '--batch-size', '0'], '--batch-size must be at least 1, got 0'),
    (['clip.avi', '--top-k', '0'], 'top_k must be at least 1, got 0')])
def test_a_mistake_is_one_line(arguments, message, clip, trained, capsys):  # noqa: F811
    Path('text.mp4').write_text('no video')
    before = sorted(clip.parent.iterdir())
    path, *options = arguments
    with pytest.raises(SystemExit) as stop:
        main(['video', path, *map(str, trained['classifier']), *options])
    assert message in str(stop.value.code) + capsys.readouterr().err
    assert sorted(clip.parent.iterdir()) == before


def test_a_run_that_fails_leaves_no_video(clip, trained, monkeypatch):  # noqa: F811
    def fail(*args):
        raise ValueError('the model gives NaN')

    monkeypatch.setattr(video, 'draw_frame', fail)
    with pytest.raises(SystemExit):
        main(['video', 'clip.avi', *map(str, trained['classifier'])])
    assert [path.name for path in clip.parent.iterdir()] == ['clip.avi']


def test_a_video_of_which_no_frame_can_be_read_is_named(clip, trained, monkeypatch):  # noqa: F811
    monkeypatch.setattr(mmcv.VideoReader, 'read', lambda self: None)
    with pytest.raises(SystemExit, match='^video: error: frame 0 of 12 cannot be read'):
        main(['video', 'clip.avi', *map(str, trained['classifier'])])
    assert [path.name for path in clip.parent.iterdir()] == ['clip.avi']


def test_a_video_that_cannot_be_written_is_named(clip, monkeypatch):
    monkeypatch.setattr(cv2.VideoWriter, 'isOpened', lambda self: False)
    with pytest.raises(OSError, match=r'OpenCV cannot write seen\.mp4'), \
            video.writer(Path('seen.mp4'), FPS, SIZE):
        raise AssertionError('nothing is to be written')
    assert [path.name for path in clip.parent.iterdir()] == ['clip.avi']


def test_a_cut_off_video_is_told(clip, trained, capsys):  # noqa: F811
    content = clip.read_bytes()
    clip.write_bytes(content[:len(content) * 2 // 3])
    with mmcv.VideoReader('clip.avi') as reader:
        said, readable = reader.frame_cnt, len(list(reader))
    if readable == said:
        pytest.skip('this OpenCV counts the frames that it can read')
    main(['video', 'clip.avi', *map(str, trained['classifier'])])
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == [f'{readable} frames: clip_predicted.mp4', f'The file says that there are '
                     f'{said}; the others could not be read.']
