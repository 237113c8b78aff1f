"""A model that runs an exported ONNX file, for MMEngine's runner."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from ..models.input_format import image_preprocessor
from ..thresholds import check_thresholds


@MODELS.register_module()
class OnnxModel(BaseModel):
    """Predicts by onnxruntime with a file that `export_onnx` wrote.

    Put in place of a config's model it is evaluated by the same loops, data and metrics.

    Args:
        file: The ONNX file.
        data_preprocessor: That of the model which was exported.
        threads: Threads of onnxruntime inside an operation; None takes PyTorch's number.

    Attributes:
        dataset_meta (dict | None): ``dict(classes=...)`` with the class names in the file's
            metadata; None where it has none.
        thresholds (list[float] | None): Probabilities above which a classifier's labels are
            predicted, of the file's metadata.

    Raises:
        ImportError: If onnxruntime is missing.
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, or its inputs and outputs are not those of
            `export_onnx`.
    """

    def __init__(self, file: str, data_preprocessor: dict | None = None,
                 threads: int | None = None) -> None:
        super().__init__(data_preprocessor)
        self.session = _session(file, threads or torch.get_num_threads())
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]
        self.dataset_meta = _dataset_meta(self.session)
        self.thresholds = _thresholds(self.session, file)
        self._one_label = self.session.get_modelmeta().custom_metadata_map.get(
            'task') == 'single-label'
        if self.outputs not in (['scores'], ['boxes', 'scores', 'labels', 'image_ids']):
            raise ValueError(f'{file} has the outputs {self.outputs}: it was not written by '
                             'tools/export_onnx.py')

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'predict') -> Sequence[BaseDataElement] | tuple[Tensor, ...]:
        """Run on preprocessed images (N, 3, H, W).

        Args:
            inputs: What the data preprocessor returned.
            data_samples: One an image. Detection reads ``img_shape`` and ``scale_factor``.
            mode: 'tensor' returns the file's outputs; 'predict' the data samples with
                ``pred_scores``, or with ``pred_instances`` in pixels of the original images.

        Raises:
            ValueError: In another mode, or if a classifier gets images padded to a common size.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"an exported model knows the modes 'tensor' and 'predict', "
                             f'not {mode!r}')
        n, _, height, width = inputs.shape
        samples = list(data_samples or [BaseDataElement() for _ in range(n)])
        sizes = [tuple(s.metainfo.get('img_shape', (height, width))[:2]) for s in samples]
        feed = {'images': inputs.detach().cpu().float().numpy()}
        if 'sizes' in self.inputs:
            feed['sizes'] = torch.tensor(sizes, dtype=torch.int64).numpy()
        elif any(size != (height, width) for size in sizes):
            raise ValueError(f'an exported classifier takes images of one size, got {sizes} in '
                             f'a batch of {height} x {width}: use a batch size of 1')
        outputs = tuple(torch.from_numpy(x) for x in self.session.run(None, feed))
        if mode == 'tensor':
            return outputs
        if len(outputs) == 1:
            for sample, scores in zip(samples, outputs[0], strict=True):
                sample.set_field(scores, 'pred_scores')
                if self._one_label:
                    sample.set_field(scores.argmax(dim=0, keepdim=True), 'pred_label')
                if self.thresholds is not None:
                    above = scores > scores.new_tensor(self.thresholds)
                    sample.set_field(above.nonzero().flatten(), 'pred_labels')
            return samples
        return [_with_instances(s, i, *outputs) for i, s in enumerate(samples)]


def with_onnx_model(cfg: Config, file: str) -> Config:
    """Return a config that evaluates an ONNX file in place of its model.

    The data preprocessor stays; weights and hooks that average them go.
    """
    cfg = cfg.copy()
    preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')
    if preprocessor is None:  # MultiLabelClassifier's own
        preprocessor = image_preprocessor()
    cfg.model = ConfigDict(type='OnnxModel', file=file, data_preprocessor=preprocessor)
    cfg.load_from = None
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks', ())
                        if not str(hook['type']).endswith('EMAHook')]
    return cfg


def _with_instances(sample: BaseDataElement, index: int, boxes: Tensor, scores: Tensor,
                    labels: Tensor, image_ids: Tensor) -> BaseDataElement:
    """Set the detections of image ``index``, scaled back to the original image."""
    own = image_ids == index
    scale = boxes.new_tensor(sample.metainfo.get('scale_factor', (1.0, 1.0))).repeat(2)
    sample.pred_instances = InstanceData(
        bboxes=boxes[own] / scale, scores=scores[own], labels=labels[own])
    return sample


def _dataset_meta(session: Any) -> dict | None:
    """The class names that `export_onnx` wrote, as far as they can be read."""
    try:
        classes = json.loads(session.get_modelmeta().custom_metadata_map.get('classes', '[]'))
    except ValueError:
        return None
    return dict(classes=classes) if classes and isinstance(classes, list) else None


def _thresholds(session: Any, file: str) -> list[float] | None:
    """The thresholds that `export_onnx` wrote; None where there are none."""
    text = session.get_modelmeta().custom_metadata_map.get('thresholds')
    if text is None:
        return None
    count = session.get_outputs()[0].shape[-1]
    try:
        return check_thresholds(json.loads(text), count).tolist()
    except (ValueError, TypeError) as error:
        raise ValueError(f'{file}: the thresholds in its metadata: {error}') from error


def _session(file: str, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError('running an ONNX file needs onnxruntime: '
                          'pip install onnxruntime') from error
    if not Path(file).is_file():
        raise FileNotFoundError(f'ONNX file {file} does not exist')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(
            str(file), options, providers=onnxruntime.get_available_providers())
    except Exception as error:  # the library's, which share no base of their own
        raise ValueError(f'{file} is damaged or no ONNX file: {error}') from error
