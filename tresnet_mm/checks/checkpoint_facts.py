"""A checkpoint as the checks ask for it, read once and only when needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mmengine.config import Config

from ..checkpoint import HUB_SCHEMES, adapt_checkpoint, read_source
from ..checkpoint.saved_runs import newest_whole
from .weights import weights_of


class CheckpointFacts:
    """The file that a run starts from.

    Args:
        source: Path, URL, ``tresnet://`` or ``hf://`` name.
        key: Where the config (or the command line) names it, for messages.
    """

    def __init__(self, source: str, key: str) -> None:
        self.source = source
        self.key = key

    @classmethod
    def of_run(cls, cfg: Config, checkpoint: str | None, resume: bool) -> CheckpointFacts | None:
        """The checkpoint of a run; None where it starts without one."""
        if checkpoint:
            return cls(checkpoint, 'checkpoint')
        if cfg.get('load_from'):
            return cls(cfg.load_from, 'resume' if resume else 'load_from')
        work_dir = cfg.get('work_dir')
        if resume and work_dir and os.path.isdir(work_dir):
            latest = newest_whole(work_dir)
            if latest is not None and latest.is_file():  # not a folder of shards
                return cls(str(latest), 'resume')
        return None

    @property
    def remote(self) -> bool:
        """Whether reading it means a download whose size nobody knows."""
        return '://' in self.source and not self.source.startswith(HUB_SCHEMES)

    @property
    def exported(self) -> bool:
        """Whether it is no checkpoint but an exported network."""
        return self.source.endswith('.onnx')

    @cached_property
    def content(self) -> dict[str, Any] | Exception:
        """The checkpoint, published formats converted; or why it cannot be read."""
        try:
            return adapt_checkpoint(read_source(self.source), self.source)
        except (OSError, ValueError) as error:
            return error

    @property
    def readable(self) -> bool:
        """Whether there is content to compare with."""
        return not self.remote and not self.exported and isinstance(self.content, Mapping)

    @property
    def state_dict(self) -> Mapping[str, Any]:
        """The weights, as mmengine's runner hands them to the model."""
        return weights_of(self.content)

    @property
    def meta(self) -> Mapping[str, Any]:
        """What the checkpoint says about itself."""
        meta = self.content.get('meta')
        return meta if isinstance(meta, Mapping) else {}

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that it was trained on; None if it does not say, or names one twice."""
        meta = self.meta.get('dataset_meta')
        classes = meta.get('classes') if isinstance(meta, Mapping) else self.meta.get('CLASSES')
        if not isinstance(classes, (list, tuple)) or len({*map(str, classes)}) < len(classes):
            return None
        return tuple(classes)
