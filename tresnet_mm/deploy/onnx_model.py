"""A model that runs an exported ONNX file, for MMEngine's runner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from ..models.image_labels import fields_of_head, labels_from_boxes
from ..models.input_format import image_preprocessor
from ..thresholds import check_thresholds

DETECTIONS = ['boxes', 'scores', 'labels', 'image_ids']


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
            metadata, and ``image_classes`` by the name of each head; None where it has none.
        image_head (ExportedHead | None): What predicts the labels of a classifier, or of the
            boxes' classes.
        image_heads (dict[str, ExportedHead]): That of each named head.

    Raises:
        ImportError: If onnxruntime is missing.
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, or its inputs and outputs are not those of
            `export_onnx`; what its metadata say of heads and thresholds does not fit it.
    """

    def __init__(self, file: str, data_preprocessor: dict | None = None,
                 threads: int | None = None) -> None:
        super().__init__(data_preprocessor)
        self.file = file
        self.session = _session(file, threads or torch.get_num_threads())
        self.inputs = [node.name for node in self.session.get_inputs()]
        self.outputs = [node.name for node in self.session.get_outputs()]
        said = self.session.get_modelmeta().custom_metadata_map
        heads = _read(said, 'image_heads', file) or {}
        if self.inputs not in (['images', 'sizes'], ['pixels']) or not (
                self.outputs == ['scores'] or self.outputs[:4] == DETECTIONS):
            raise ValueError(f'{file} has the inputs {self.inputs} and the outputs {self.outputs}: '
                             'it was not written by tools/export_onnx.py, or by an older version')
        self.mask_threshold = float(_read(said, 'mask_threshold', file) or 0.5)
        counts = {node.name: node.shape[-1] for node in self.session.get_outputs()}
        own = 'label_scores' if 'boxes' in counts else 'scores'
        self.image_head = None if own not in counts else ExportedHead.of(
            said.get('task'), _read(said, 'thresholds', file), counts[own], file)
        try:
            self.image_heads = {
                name: ExportedHead.of(head['kind'], head['thresholds'],
                                      counts[f'label_scores.{name}'], file)
                for name, head in heads.items()}
            self.dataset_meta = _dataset_meta(said, heads)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{file}: the image_heads in its metadata are damaged: {heads!r:.80}'
                             ) from error

    @property
    def head(self) -> 'ExportedHead | None':
        """What predicts the labels of a classifier, or of the boxes' classes."""
        return self.image_head

    @property
    def thresholds(self) -> list[float] | None:
        """Probabilities above which `head` predicts labels; None where there are none."""
        return None if self.head is None else self.head.thresholds

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'predict') -> Sequence[BaseDataElement] | tuple[Tensor, ...]:
        """Run on preprocessed images (N, 3, H, W).

        Args:
            inputs: What the data preprocessor returned.
            data_samples: One an image; ``img_shape`` tells an image from its padding, and
                detection reads ``scale_factor`` and, for masks, ``ori_shape``.
            mode: 'tensor' returns the file's outputs; 'predict' the data samples with what the
                model sets in them: ``pred_instances`` in pixels of the original images,
                ``pred_scores``, and a field for each named head.

        Raises:
            ValueError: In another mode, or if the file takes pixels.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"an exported model knows the modes 'tensor' and 'predict', "
                             f'not {mode!r}')
        if self.inputs != ['images', 'sizes']:
            raise ValueError(f'{self.file} prepares its images itself, so that no data '
                             'preprocessor fits it: export it without --with-preprocessing')
        n, _, height, width = inputs.shape
        samples = list(data_samples or [BaseDataElement() for _ in range(n)])
        sizes = [tuple(s.metainfo.get('img_shape', (height, width))[:2]) for s in samples]
        found = self.outputs_of(inputs, torch.tensor(sizes))
        if mode == 'tensor':
            return tuple(found.values())
        if 'boxes' in found:
            for index, sample in enumerate(samples):
                self._set_instances(sample, index, found)
            if self.image_head is not None:
                labels_from_boxes(samples, found['label_scores'].shape[1])
        if self.image_head is not None:
            self.image_head.set_scores(
                samples, found['label_scores' if 'boxes' in found else 'scores'])
        for name, head in self.image_heads.items():
            head.set_scores(fields_of_head(samples, name), found[f'label_scores.{name}'])
        return samples

    def outputs_of(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The file's outputs by name, of its inputs in their order."""
        feed = {name: value.detach().cpu().numpy() for name, value in
                zip(self.inputs, inputs, strict=True)}
        if 'images' in feed:
            feed['images'] = feed['images'].astype('float32', copy=False)
        values = self.session.run(self.outputs, feed)
        return {name: torch.from_numpy(value) for name, value in
                zip(self.outputs, values, strict=True)}

    def _set_instances(self, sample: BaseDataElement, index: int, found: Mapping[str, Tensor]
                       ) -> None:
        """Set the detections of image ``index``, scaled back to the original image."""
        own = found['image_ids'] == index
        boxes = found['boxes'][own]
        boxes = boxes / boxes.new_tensor(sample.metainfo.get('scale_factor', (1.0, 1.0))).repeat(2)
        sample.pred_instances = InstanceData(
            bboxes=boxes, scores=found['scores'][own], labels=found['labels'][own])
        if 'masks' in found:
            sample.pred_instances.masks = self._pasted(
                found['masks'][own], boxes, sample.metainfo['ori_shape'][:2])

    def _pasted(self, masks: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
        """Masks (M, height, width), boolean, of probabilities (M, h, w) inside of boxes (M, 4)."""
        from .onnx_runner import paste_mask  # needs onnxruntime
        height, width = size
        result = torch.zeros(len(masks), height, width, dtype=torch.bool)
        for target, mask, box in zip(result, masks.numpy(), boxes.numpy(), strict=True):
            target.copy_(torch.from_numpy(
                paste_mask(mask, box, (height, width), self.mask_threshold)))
        return result


@dataclass(frozen=True)
class ExportedHead:
    """What a head makes of its scores, which the file computes.

    Attributes:
        one_label: Whether each image has exactly one label.
        thresholds: (num_classes,) probabilities above which a label is predicted, if there are.
    """

    one_label: bool
    thresholds: list[float] | None

    @classmethod
    def of(cls, kind: str | None, thresholds: Any, count: int, file: str) -> 'ExportedHead':
        """The head that the metadata of a file describe; ValueError if it does not fit."""
        try:
            return cls(kind == 'single-label', None if thresholds is None else
                       check_thresholds(thresholds, count).tolist())
        except (ValueError, TypeError) as error:
            raise ValueError(f'{file}: the thresholds in its metadata: {error}') from error

    def set_scores(self, data_samples: Sequence[BaseDataElement], scores: Tensor) -> None:
        """As the heads do, from probabilities (N, num_classes)."""
        for sample, row in zip(data_samples, scores, strict=True):
            sample.set_field(row, 'pred_scores')
            if self.one_label:
                sample.set_field(row.argmax(dim=0, keepdim=True), 'pred_label')
            elif self.thresholds is not None:
                above = row > row.new_tensor(self.thresholds)
                sample.set_field(above.nonzero().flatten(), 'pred_labels')


def with_onnx_model(cfg: Config, file: str) -> Config:
    """Return a config that evaluates an ONNX file in place of its model.

    The data preprocessor stays, and a model for test-time augmentation around it; weights and hooks
    that average them go.
    """
    cfg = cfg.copy()
    model = cfg.model.module if 'module' in cfg.model else cfg.model
    preprocessor = (model.get('data_preprocessor') or cfg.get('data_preprocessor')
                    or model.get('detector', {}).get('data_preprocessor'))
    if preprocessor is None:  # MultiLabelClassifier's own
        preprocessor = image_preprocessor()
    exported = ConfigDict(type='OnnxModel', file=file, data_preprocessor=preprocessor)
    if 'module' in cfg.model:
        cfg.model.module = exported
    else:
        cfg.model = exported
    cfg.load_from = None
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks', ())
                        if not str(hook['type']).endswith('EMAHook')]
    return cfg


def _dataset_meta(said: Mapping[str, str], heads: Mapping[str, Any]) -> dict | None:
    """The class names that `export_onnx` wrote, as far as they can be read."""
    try:
        classes = json.loads(said.get('classes', '[]'))
    except ValueError:
        return None
    if not classes or not isinstance(classes, list):
        return None
    named = {name: head['classes'] for name, head in heads.items() if head['classes']}
    return dict(classes=classes, **(dict(image_classes=named) if named else {}))


def _read(said: Mapping[str, str], key: str, file: str) -> Any:
    """A part of the metadata; None where it is not there."""
    try:
        return json.loads(said.get(key, 'null'))
    except ValueError as error:
        raise ValueError(f'{file}: the {key} in its metadata: {error}') from error


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
