"""Files of Amazon S3, and of what speaks its language (MinIO, Ceph, cloud vendors)."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from .remote_backend import RemoteBackend
from .web_file import ATTEMPTS, TIMEOUT


class S3Backend(RemoteBackend):
    """Reads ``s3://BUCKET/KEY`` by boto3: ``backend_args=dict(backend='s3', ...)``.

    Who may read comes from where boto3 takes it: environment variables, its files, or the machine's
    role. An attempt is given up after 30 seconds without a byte, and there are three.

    Args:
        **client: Arguments of boto3's client, such as ``endpoint_url`` and ``region_name``; plain
            values, as a config has.

    Raises:
        ImportError: If boto3 is missing.
    """

    def __init__(self, **client: Any) -> None:
        self._client = _client(json.dumps(client, sort_keys=True), os.getpid())

    def get(self, filepath: str) -> bytes:
        """Read the bytes of an object.

        Raises:
            FileNotFoundError: There is no such bucket or key.
            OSError: It cannot be read: no right, no answer, no credentials.
            ValueError: It is no address of an object.
        """
        bucket, key = _parts(str(filepath))
        with _said_plainly(filepath):
            return self._client.get_object(Bucket=bucket, Key=key)['Body'].read()

    def exists(self, filepath: str) -> bool:
        """Whether there is such an object; OSError where the server does not say."""
        bucket, key = _parts(str(filepath))
        try:
            with _said_plainly(filepath):
                self._client.head_object(Bucket=bucket, Key=key)
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _said_plainly(address: str) -> Iterator[None]:
    """The errors of boto3 as those of a local file."""
    from botocore.exceptions import BotoCoreError, ClientError
    try:
        yield
    except ClientError as error:
        if error.response['Error']['Code'] in ('NoSuchKey', 'NoSuchBucket', '404'):
            raise FileNotFoundError(f'{address} does not exist: {error}') from None
        raise OSError(f'{address} cannot be read: {error}') from error
    except (BotoCoreError, OSError) as error:
        raise OSError(f'{address} cannot be read: {error}') from error


@lru_cache(maxsize=8)
def _client(arguments: str, process: int) -> Any:
    """boto3's client, which takes long to make and may not go from one process to another."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ImportError("backend='s3' needs boto3: pip install boto3") from error
    patience = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT,
                      retries=dict(total_max_attempts=ATTEMPTS, mode='standard'))
    return boto3.session.Session().client('s3', config=patience, **json.loads(arguments))


def _parts(address: str) -> tuple[str, str]:
    """Bucket and key of an address."""
    scheme, _, place = address.partition('://')
    bucket, _, key = place.partition('/')
    if scheme != 's3' or not bucket or not key:
        raise ValueError(f'{address!r} is no address of an object: should be s3://BUCKET/KEY')
    return bucket, key
