"""What mmengine asks of a file backend, for those that read from elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory

from mmengine.fileio import BaseStorageBackend


class RemoteBackend(BaseStorageBackend):
    """A backend whose ``get`` and ``exists`` a subclass has; it reads, and writes nothing."""

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """Read a text file; errors as of ``get``."""
        return self.get(filepath).decode(encoding)

    @contextmanager
    def get_local_path(self, filepath: str) -> Iterator[str]:
        """Yield a path to a copy of the file, which goes afterwards; errors as of ``get``."""
        with TemporaryDirectory() as folder:
            path = f'{folder}/{PurePosixPath(str(filepath)).name}'
            with open(path, 'wb') as file:
                file.write(self.get(filepath))
            yield path

    def join_path(self, filepath: str, *filepaths: str) -> str:
        """An address below another one."""
        return '/'.join([str(filepath).rstrip('/'), *(str(part).strip('/') for part in filepaths)])
