"""Pictures of what models see and learn: boxes, label scores, training curves."""

from .contact_sheet import contact_sheet
from .detections import draw_detections
from .label_scores import draw_label_scores
from .mlflow_backend import MLflowBackend
from .run_curves import draw_runs, main_keys, read_run
from .training_curve import draw_training_curve, read_scalars
from .wandb_backend import WandbBackend

__all__ = [
    'MLflowBackend',
    'WandbBackend',
    'contact_sheet',
    'draw_detections',
    'draw_label_scores',
    'draw_runs',
    'draw_training_curve',
    'main_keys',
    'read_run',
    'read_scalars',
]
