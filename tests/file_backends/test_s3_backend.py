"""Data from an S3-compatible server on the loopback interface."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.fileio import exists, get, get_local_path, get_text
from torch.utils.data import DataLoader

import tresnet_mm  # noqa: F401
from tresnet_mm.datasets import CocoMultiLabel
from tresnet_mm.file_backends import s3_backend

boto3 = pytest.importorskip('boto3')
pytest.importorskip('flask_cors', reason="moto's server needs flask and flask-cors")
moto_server = pytest.importorskip('moto.server', reason='moto, the stand-in for S3')


@pytest.fixture(scope='module')
def server():
    server = moto_server.ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f'http://{host}:{port}'
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """An empty bucket, and what a config says to read from it."""
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', 'somebody')
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    args = dict(endpoint_url=server, region_name='us-east-1')
    client = boto3.client('s3', **args)
    client.create_bucket(Bucket='data')
    yield client, dict(backend='s3', **args)
    for entry in client.list_objects_v2(Bucket='data').get('Contents', ()):
        client.delete_object(Bucket='data', Key=entry['Key'])
    client.delete_bucket(Bucket='data')


def test_bytes_text_and_a_local_copy(bucket):
    client, args = bucket
    client.put_object(Bucket='data', Key='a/b.txt', Body='naïve'.encode())
    assert get('s3://data/a/b.txt', backend_args=args) == 'naïve'.encode()
    assert get_text('s3://data/a/b.txt', backend_args=args) == 'naïve'
    with get_local_path('s3://data/a/b.txt', backend_args=args) as path:
        assert path.endswith('b.txt')
        assert Path(path).read_text(encoding='utf-8') == 'naïve'
    assert exists('s3://data/a/b.txt', backend_args=args)
    assert not exists('s3://data/a/c.txt', backend_args=args)


@pytest.mark.parametrize('address, kind, words', [
    ('s3://data/none', FileNotFoundError, 's3://data/none does not exist: .*NoSuchKey'),
    ('s3://none/a', FileNotFoundError, 's3://none/a does not exist: .*NoSuchBucket'),
    ('s3://data', ValueError, "'s3://data' is no address of an object: should be s3://BUCKET/KEY"),
    ('data/a', ValueError, "'data/a' is no address"),
])
def test_what_is_not_there_is_named(bucket, address, kind, words):
    with pytest.raises(kind, match=words):
        get(address, backend_args=bucket[1])


def test_a_server_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', 'somebody')
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    args = dict(backend='s3', endpoint_url='http://127.0.0.1:9', region_name='us-east-1')
    with pytest.raises(OSError, match='s3://data/a cannot be read: Could not connect .*:9'):
        get('s3://data/a', backend_args=args)


def test_a_data_set_by_loader_workers(bucket, shapes_root):
    client, args = bucket
    for path in shapes_root.rglob('*.*'):
        client.upload_file(str(path), 'data', str(path.relative_to(shapes_root)))

    def images(root, backend_args, workers):
        dataset = CocoMultiLabel(
            ann_file='annotations/instances_val.json', data_root=root, test_mode=True,
            data_prefix=dict(img='val/'), backend_args=backend_args, pipeline=[
                dict(type='LoadImageChecked', backend_args=backend_args),
                dict(type='PackMultiLabelInputs')])
        loader = DataLoader(dataset, num_workers=workers, collate_fn=pseudo_collate)
        return [(batch['inputs'][0], batch['data_samples'][0].gt_labels) for batch in loader]

    remote = images('s3://data/', args, 2)
    local = images(str(shapes_root), None, 0)
    assert len(remote) == len(local) == 8
    for ours, theirs in zip(remote, local, strict=True):
        assert all(map(torch.equal, ours, theirs))


def test_an_object_that_may_not_be_read_is_named():
    from botocore.exceptions import ClientError
    with pytest.raises(OSError, match='s3://data/a cannot be read: .*AccessDenied') as error, \
            s3_backend._said_plainly('s3://data/a'):
        raise ClientError({'Error': {'Code': 'AccessDenied'}}, 'GetObject')
    assert not isinstance(error.value, FileNotFoundError)


def test_boto3_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'boto3', None)
    with pytest.raises(ImportError, match="backend='s3' needs boto3: pip install boto3"):
        s3_backend._client('{"region_name": "nowhere"}', 0)
