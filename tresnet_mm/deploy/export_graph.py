"""What the graphs of all kinds of model have in common."""

from torch import nn

#: The dimensions of the inputs that a file leaves open.
INPUT_AXES = {'images': {0: 'batch', 2: 'height', 3: 'width'}, 'sizes': {0: 'batch'},
              'pixels': {0: 'batch', 1: 'height', 2: 'width'}}


class ExportGraph(nn.Module):
    """Base of the models as functions of tensors, which `export_onnx` traces.

    They are called with images (N, 3, H, W), preprocessed and padded at the right and bottom, and
    sizes (N, 2), integers: height and width of each image without the padding.

    Attributes:
        inputs: Names of the arguments of ``forward``.
        outputs: Names of what it returns.
        output_axes: The names of those dimensions of the outputs that are not fixed.
    """

    inputs: tuple[str, ...] = ('images', 'sizes')
    outputs: tuple[str, ...]
    output_axes: dict[str, dict[int, str]]


class DetectionGraph(ExportGraph):
    """Base of the graphs that return the M detections in all images of a batch.

    They return boxes (M, 4) as x1, y1, x2, y2 in pixels of the input, scores (M,), classes (M,),
    and the image (M,) that each belongs to; grouped by image, best first.
    """

    outputs: tuple[str, ...] = ('boxes', 'scores', 'labels', 'image_ids')
    output_axes = {name: {0: 'detections'} for name in outputs}
