"""Checkpoints: every published TResNet format read, checked and loaded whole.

``init_cfg=dict(type='Pretrained', checkpoint=...)`` and ``load_from`` take any of them directly, as
``.pth`` or ``.safetensors``, path, URL or ``tresnet://`` name; `convert` does it by hand.
"""

from .conversion import Converted, convert, recorded_classes
from .files import read_file, write_file
from .hub import HUB_FILES, SCHEME, fetch
from .loading import (
    CheckpointMismatch,
    adapt_backbone_state_dict,
    adapt_checkpoint,
    adapt_model_state_dict,
    load_pretrained,
    meta_of,
    read_source,
    register_schemes,
    tag_state_dict,
)

register_schemes()

__all__ = [
    'HUB_FILES', 'SCHEME', 'CheckpointMismatch', 'Converted', 'adapt_backbone_state_dict',
    'adapt_checkpoint', 'adapt_model_state_dict', 'convert', 'fetch', 'load_pretrained', 'meta_of',
    'read_file', 'read_source', 'recorded_classes', 'register_schemes', 'tag_state_dict',
    'write_file',
]
