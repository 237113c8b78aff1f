"""MLflow as mmengine logs to it, where MLflow itself would write, and with pictures."""

import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from mmengine.registry import VISBACKENDS
from mmengine.visualization import MLflowVisBackend
from mmengine.visualization.vis_backend import force_init_env


@VISBACKENDS.register_module()
class MLflowBackend(MLflowVisBackend):
    """``MLflowVisBackend`` that works with a current MLflow.

    - Without ``tracking_uri`` the run goes to where ``MLFLOW_TRACKING_URI`` says, or to MLflow's
      own default, so that all runs show up in one ``mlflow ui``. mmengine's makes a store of files
      for each run, which MLflow 3 refuses.
    - Pictures get a suffix, without which MLflow cannot write them.
    - Characters of a class name that MLflow refuses in the name of a metric become ``_``.

    Args:
        save_dir: The run's ``vis_data``.
        **kwargs: Arguments of ``MLflowVisBackend``. ``run_name`` is by default the work dir's name
            and the time.
    """

    _run_name: str | None  # mmengine's, untyped there
    _tracking_uri: str | None

    def __init__(self, save_dir: str, **kwargs: Any) -> None:
        super().__init__(save_dir, **kwargs)
        if self._run_name is None:
            self._run_name = '/'.join(Path(save_dir).absolute().parts[-3:-1])

    def _init_env(self) -> None:
        if self._tracking_uri is None:
            import mlflow  # only where it is used: it need not be installed
            self._tracking_uri = mlflow.get_tracking_uri()
        logger = MMLogger.get_current_instance()
        # mmengine's opens what has been closed anew, as a file: the console is none.
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler) and handler.stream.closed:
                handler.stream = sys.stdout
        level = logger.level
        logger.setLevel(logging.ERROR)  # mmengine's asks whether a server runs; there need not be
        try:
            super()._init_env()
        finally:
            logger.setLevel(level)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record a picture, uint8 (H, W, 3) in RGB, as the artifact ``NAME/STEP.png``."""
        self._mlflow.log_image(image, f'{name}/{step}.png')

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record one number."""
        super().add_scalar(metric_name(name), value, step, **kwargs)

    @force_init_env
    def add_scalars(self, scalar_dict: Mapping[str, Any], step: int = 0,
                    file_path: str | None = None, **kwargs: Any) -> None:
        """Record several numbers."""
        super().add_scalars({metric_name(key): value for key, value in scalar_dict.items()}, step,
                            file_path, **kwargs)


def metric_name(name: str) -> str:
    """A name as MLflow takes it: letters, digits, and of the rest ``_ - . : /`` and spaces.

    Examples:
        >>> metric_name('multi-label_AP/cat (tabby)')
        'multi-label_AP/cat _tabby_'
    """
    return re.sub(r'[^\w\-.: /]', '_', name)
