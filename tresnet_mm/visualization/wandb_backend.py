"""Weights & Biases as mmengine logs to it, without a copy of the user's code."""

from typing import Any

from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization import WandbVisBackend
from mmengine.visualization.vis_backend import force_init_env


@VISBACKENDS.register_module()
class WandbBackend(WandbVisBackend):
    """``WandbVisBackend`` that keeps the config and leaves the code where it is.

    mmengine's hands every Python file below the current folder to W&B: of a checkout that holds
    its environment these are tens of thousands, none of which the user was asked about. Takes the
    arguments of ``WandbVisBackend``: ``save_dir``, where W&B keeps its files of the run,
    ``init_kwargs`` for ``wandb.init``, ...
    """

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config."""
        self._wandb.config.update(config.to_dict(), allow_val_change=True)
