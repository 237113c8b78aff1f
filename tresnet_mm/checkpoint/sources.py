"""Where a checkpoint's bytes come from: a path, a URL, or a name of one of mm's model zoos."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.fileio import get
from mmengine.runner import checkpoint as mm_checkpoint

from .download import download
from .files import read_file
from .hub import HUB_SCHEMES, fetch
from .stored_tensors import MapLocation

_WEB = ('http://', 'https://')
#: Scheme -> mmengine's table of the names behind it.
_ZOOS: dict[str, Callable[[], dict[str, str]]] = {
    'torchvision://': mm_checkpoint.get_torchvision_models,
    'modelzoo://': mm_checkpoint.get_torchvision_models,
    'open-mmlab://': mm_checkpoint.get_external_models,
    'openmmlab://': mm_checkpoint.get_external_models,
    'mmcls://': mm_checkpoint.get_mmcls_models,
}
_STORES = (r'(\S+\:)?s3://', r'(\S+\:)?petrel://')
#: What mmengine's `CheckpointLoader` knows, ``tresnet://`` and ``hf://``: all are read here, since
#: mmengine's own readers run what a file says. '' is a path.
SCHEMES = ('', *_WEB, *HUB_SCHEMES, *_ZOOS, *_STORES, 'pavi://')


def read_source(source: str, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint from wherever mmengine can have it, as it is, without converting.

    Args:
        source: A path, a URL, ``tresnet://NAME``, ``hf://USER/REPO[/FILE]``, a name of mmengine's
            zoos (``torchvision://resnet50``), or an object of a store that mmengine has a backend
            for (``s3://...``).
        map_location: Where tensors go, as in `torch.load`.

    Raises:
        OSError: If it cannot be had, among them FileNotFoundError.
        ValueError: If it is damaged, no checkpoint, could be read only by running code, or of an
            unknown name.
    """
    scheme = source.partition('://')[0] + '://' if '://' in source else ''
    if scheme in _ZOOS:
        content = read_source(_url_of(source, scheme), map_location)
        return mm_checkpoint._process_mmcls_checkpoint(content) if scheme == 'mmcls://' else content
    if scheme in HUB_SCHEMES:
        return read_file(fetch(source), map_location)
    if scheme in _WEB:
        return read_file(download(source), map_location)
    if scheme:
        return _read_stored(source, map_location)
    return read_file(source, map_location)


def _url_of(source: str, scheme: str) -> str:
    """The URL, or the path below mmengine's home, of a name in one of the zoos."""
    name = source.removeprefix(scheme)
    urls = _ZOOS[scheme]()
    name = mm_checkpoint.get_deprecated_model_names().get(name, name) if 'mmlab' in scheme else name
    if name not in urls:
        raise ValueError(f'unknown checkpoint {source!r}: {scheme} has no model of that name')
    url = urls[name]
    return url if url.startswith(_WEB) else str(Path(mm_checkpoint._get_mmengine_home()) / url)


def _read_stored(source: str, map_location: MapLocation) -> dict[str, Any]:
    """Read an object of a store by mmengine's backend for its scheme."""
    try:
        content = get(source)
    except Exception as error:  # each backend's client has its own
        raise OSError(f'cannot read the checkpoint {source}: {type(error).__name__}: {error}'
                      ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(source).name
        path.write_bytes(content)
        return read_file(path, map_location)
