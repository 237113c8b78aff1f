"""Data from a web server: an end to waiting, further attempts, and the images of the folder."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.fileio import exists, get, get_local_path, get_text
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

import tresnet_mm  # noqa: F401
from tests.web_server import BODY, WHOLE, serving
from tresnet_mm.datasets import CheckedCocoDataset
from tresnet_mm.file_backends import web_file

SILENT = None


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No pause between attempts."""
    monkeypatch.setattr(web_file, '_PAUSE', 0)


@pytest.mark.parametrize('answers, attempts', [
    ([WHOLE], 1),
    ([(503, 0, 0), WHOLE], 2),
    ([SILENT, (200, len(BODY), 100), WHOLE], 3),
], ids=['at once', 'after an error', 'after silence and a cut'])
@pytest.mark.reliability(
    done='the web server of the data falls silent, cuts a connection, or has an error of its own',
    happens='asked three times, each given up after 30 s without a byte; then a message names it')
def test_what_fails_is_tried_again(answers, attempts):
    with serving(*answers) as (address, requests):
        assert get(f'{address}/a.jpg') == BODY
        assert len(requests) == attempts
        with get_local_path(f'{address}/a.jpg') as path, open(path, 'rb') as file:
            assert file.read() == BODY


@pytest.mark.parametrize('answer, attempts, kind, words', [
    ((404, 0, 0), 1, FileNotFoundError, r'a\.json does not exist: the server says HTTP Error 404'),
    ((403, 0, 0), 1, OSError, r'a\.json cannot be read: HTTP Error 403'),
    ((500, 0, 0), 3, OSError, r'a\.json cannot be read: HTTP Error 500'),
    (SILENT, 3, OSError, r'a\.json cannot be read: .*timed out'),
    ((200, len(BODY), 9), 3, OSError, r'a\.json cannot be read: .*9 (of 10240 )?bytes'),
])
def test_what_cannot_be_had_is_named(answer, attempts, kind, words):
    with serving(answer) as (address, requests):
        with pytest.raises(kind, match=words) as caught:
            get_text(f'{address}/a.json')
        assert type(caught.value) is kind
        assert len(requests) == attempts


@contextmanager
def serving_folder(folder, silent=''):
    """Serve a folder on the loopback interface; ``silent`` is a name that gets no answer."""
    release = threading.Event()

    class Handler(SimpleHTTPRequestHandler):

        def do_GET(self):
            if silent and self.path.endswith(silent):
                release.wait(20)
            else:
                super().do_GET()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=folder)) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}/'
        release.set()
        http.shutdown()
        thread.join()


def shapes_loader(root, backend_args, workers):
    """The training images of the synthetic data, as packed by the demo's pipeline."""
    init_default_scope('mmdet')
    cfg = Config.fromfile('configs/fcos_tresnet_tiny_shapes.py').val_dataloader.dataset
    pipeline = [dict(step, backend_args=backend_args) if 'Load' in step['type']
                and 'Image' in step['type'] else step for step in cfg.pipeline]
    dataset = CheckedCocoDataset(
        data_root=root, ann_file=cfg.ann_file, data_prefix=cfg.data_prefix, metainfo=cfg.metainfo,
        pipeline=pipeline, backend_args=backend_args, test_mode=True)
    return DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=pseudo_collate,
                      multiprocessing_context='fork' if workers else None)


def test_a_data_set_of_a_server_is_that_of_the_folder(shapes_root):
    with serving_folder(shapes_root) as address:
        remote = list(shapes_loader(address, dict(backend='http'), workers=2))
    local = list(shapes_loader(shapes_root, None, workers=0))
    assert len(remote) == len(local) > 1
    for ours, theirs in zip(remote, local, strict=True):
        assert all(map(torch.equal, ours['inputs'], theirs['inputs']))
        for one, other in zip(ours['data_samples'], theirs['data_samples'], strict=True):
            assert torch.equal(one.gt_instances.bboxes.tensor, other.gt_instances.bboxes.tensor)
            assert one.img_path.startswith('http://')


@pytest.mark.reliability(
    done='the web server says nothing about one image of the data',
    happens='a loader worker ends, with a message that names the image')
def test_a_silent_server_does_not_stall_a_worker(shapes_root, monkeypatch):
    monkeypatch.setattr(web_file, 'TIMEOUT', 2)
    name = next((shapes_root / 'val').iterdir()).name
    with serving_folder(shapes_root, silent=name) as address, \
            pytest.raises(Exception, match=rf'image .{address}val/{name}. cannot be read: .*timed'):
        list(shapes_loader(address, dict(backend='http'), workers=2))


def test_whether_a_file_is_there(shapes_root):
    with serving_folder(shapes_root) as address:
        assert exists(f'{address}annotations/instances_val.json')
        assert not exists(f'{address}annotations/none.json')


def test_an_annotation_file_that_is_not_there(tmp_path):
    with serving_folder(tmp_path) as address, \
            pytest.raises(FileNotFoundError, match=rf'{address}annotations.* does not exist'):
        shapes_loader(address, dict(backend='http'), workers=0)
