"""Checkpoints: every published TResNet format read, checked and loaded whole.

``init_cfg=dict(type='Pretrained', checkpoint=...)`` and ``load_from`` take any of them directly, as
``.pth`` or ``.safetensors``, path, URL, ``tresnet://`` or ``hf://`` name; `convert` does it by
hand. No file can run code while it is read.
"""

from .checking import CheckpointMismatch
from .conversion import Converted, convert, recorded_classes
from .files import read_file, write_file
from .hub import HUB_FILES, HUB_SCHEMES, SCHEME, fetch
from .loading import (
    adapt_backbone_state_dict,
    adapt_checkpoint,
    adapt_model_state_dict,
    load_from_tresnet_mm,
    load_pretrained,
    meta_of,
    tag_state_dict,
)
from .published import Published, read_published
from .sources import SCHEMES, read_source

__all__ = [
    'HUB_FILES', 'HUB_SCHEMES', 'SCHEME', 'SCHEMES', 'CheckpointMismatch', 'Converted',
    'Published', 'adapt_backbone_state_dict', 'adapt_checkpoint', 'adapt_model_state_dict',
    'convert', 'fetch', 'load_from_tresnet_mm', 'load_pretrained', 'meta_of', 'read_file',
    'read_published', 'read_source', 'recorded_classes', 'tag_state_dict', 'write_file',
]
