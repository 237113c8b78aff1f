"""Own data read, whatever its format."""
from __future__ import annotations

from pathlib import Path

from .source_data import SourceData
from .source_files import SourceFiles
from .voc_source import read_voc


def read_source(path: str | Path, format: str | None = None) -> SourceData:
    """Read a source of own data."""
    root = Path(path).absolute()
    return read_voc(SourceFiles(root))
