"""Classifiers as functions of tensors."""

from torch import Tensor

from ..models import MultiLabelClassifier
from .export_graph import ExportGraph


class ClassifierGraph(ExportGraph):
    """A classifier as a function of tensors.

    Args:
        model: The classifier.
    """

    outputs = ('scores',)
    output_axes = {'scores': {0: 'batch'}}

    def __init__(self, model: MultiLabelClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, sizes: Tensor) -> Tensor:
        """The calibrated probabilities (N, num_classes), which padding has no part in."""
        head = self.model.head
        logits = head.logits(self.model.extract_feat(images), sizes, images)
        return head.probabilities(logits.float())
