"""Pictures of what models see and learn: boxes, labels, maps, mistakes, training curves."""

from .box_mistakes import BoxMistake, BoxMistakes, find_box_mistakes
from .box_sheets import write_box_sheets
from .box_tile import draw_box_tile
from .caption import add_caption
from .class_maps import ClassMaps, class_maps
from .contact_sheet import contact_sheet
from .detections import draw_detections
from .heat import draw_heat
from .label_mistakes import (
    co_occurrence,
    doubtful_labels,
    false_alarms,
    image_losses,
    label_confusion,
    missed_labels,
)
from .label_scores import draw_label_scores
from .label_sheets import write_label_sheets
from .matrix import draw_matrix
from .mlflow_backend import MLflowBackend
from .multilabel_visualizer import MultiLabelVisualizer
from .overlay import overlay_text
from .run_curves import draw_runs, main_keys, read_run
from .sheet_writer import SheetWriter
from .single_label_mistakes import (
    class_confusion,
    doubtful_images,
    label_losses,
    wrong_images,
)
from .single_label_sheets import write_single_label_sheets
from .training_curve import draw_training_curve, read_scalars
from .truth import draw_truth
from .wandb_backend import WandbBackend

__all__ = [
    'BoxMistake',
    'BoxMistakes',
    'ClassMaps',
    'MLflowBackend',
    'MultiLabelVisualizer',
    'WandbBackend',
    'SheetWriter',
    'add_caption',
    'class_confusion',
    'class_maps',
    'co_occurrence',
    'contact_sheet',
    'doubtful_images',
    'doubtful_labels',
    'draw_box_tile',
    'draw_detections',
    'draw_heat',
    'draw_label_scores',
    'draw_matrix',
    'draw_runs',
    'draw_training_curve',
    'draw_truth',
    'false_alarms',
    'find_box_mistakes',
    'image_losses',
    'label_confusion',
    'label_losses',
    'main_keys',
    'missed_labels',
    'overlay_text',
    'read_run',
    'read_scalars',
    'write_box_sheets',
    'write_label_sheets',
    'write_single_label_sheets',
    'wrong_images',
]
