"""What the tests of exported graphs share: tiny models, and files held against their models."""

from pathlib import Path

import onnx
import onnxruntime
import torch
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from tresnet_mm.deploy import export_onnx

BACKBONE = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125))
#: Sizes of the images of a batch, which is padded to the largest of a multiple of 32: batches of 1,
#: 2 and 3, none of the traced size, most sides no multiple of 4.
BATCHES = ([(96, 128)], [(64, 96), (50, 71)], [(101, 70), (64, 64), (33, 128)])


def build(cfg: dict) -> nn.Module:
    """A model of a config, with the running statistics of a few steps and without its dropout."""
    init_default_scope('mmdet')
    model = MODELS.build(cfg)
    for module in model.modules():
        if getattr(module, 'running_var', None) is not None:
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.7, 1.3)
    return model.eval()


def fpn(levels: int) -> dict:
    """The config of a neck with as many levels, the first of stride 8 (4 with more than three)."""
    return dict(type='FPN', in_channels=[8, 16, 128, 256], out_channels=16,
                start_level=int(levels < 4), num_outs=levels)


def spread_logits(model: nn.Module) -> nn.Module:
    """Give a detector random weights of such a size that neither boxes nor scores tie."""
    for module in model.bbox_head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.15)
            nn.init.zeros_(module.bias) if module.bias is not None else None
    with torch.no_grad():  # logits of variance 1: saturated scores would tie
        outs = model.bbox_head(model.extract_feat(torch.randn(2, 3, 64, 96)))
        for name, part in model.bbox_head.named_modules():
            if name.split('.')[0] in ('conv_cls', 'rtm_cls') and isinstance(part, nn.Conv2d):
                part.weight.div_(torch.cat([x.flatten() for x in outs[0]]).std())
    return model


def padded(sizes: list[tuple[int, int]]) -> Tensor:
    """A batch of random images of these sizes, padded with zeros to multiples of 32."""
    height, width = (-(-max(side) // 32) * 32 for side in zip(*sizes, strict=True))
    images = torch.zeros(len(sizes), 3, height, width)
    for image, (h, w) in zip(images, sizes, strict=True):
        image[:, :h, :w] = torch.randn(3, h, w)
    return images


def samples(sizes: list[tuple[int, int]], images: Tensor) -> list:
    """mmdet's samples of images of these sizes."""
    from mmdet.structures import DetDataSample
    return [DetDataSample(metainfo=dict(
        img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), flip=False,
        batch_input_shape=tuple(images.shape[-2:]))) for size in sizes]


class ExportedFile:
    """A model's file, run by onnxruntime, beside the graph in PyTorch that was written to it."""

    def __init__(self, model: nn.Module, folder: Path, fold: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        path = str(folder / 'model.onnx')
        self.graph = export_onnx(model, path, (64, 64), fold=fold)
        self.session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        assert [node.name for node in self.session.get_inputs()] == ['images', 'sizes']
        assert [x.name for x in self.session.get_outputs()] == list(self.graph.outputs)

        self.nodes = [node.op_type for node in onnx.load(path).graph.node]

    def __call__(self, images: Tensor, sizes: list[tuple[int, int]]) -> dict[str, Tensor]:
        """The outputs of the file by name, after a look at the graph's own."""
        feed = dict(images=images.numpy(), sizes=torch.tensor(sizes).numpy())
        found = [torch.from_numpy(x) for x in self.session.run(None, feed)]
        with torch.no_grad():
            own = self.graph(images, torch.tensor(sizes))
        own = (own,) if isinstance(own, Tensor) else own
        for a, b in zip(own, found, strict=True):
            torch.testing.assert_close(a, b, atol=1e-2, rtol=1e-4)
        return dict(zip(self.graph.outputs, found, strict=True))


def predict(model: nn.Module, images: Tensor, sizes: list[tuple[int, int]]) -> list:
    """What mmdet's own ``predict`` says, in pixels of the input."""
    with torch.no_grad():
        return model.predict(images, samples(sizes, images), rescale=False)


def assert_detections(found: dict[str, Tensor], expected: list) -> None:
    """Hold a file's detections against ``pred_instances`` of mmdet's own ``predict``."""
    for i, sample in enumerate(expected):
        own, wanted = found['image_ids'] == i, sample.pred_instances
        assert len(wanted) == int(own.sum())
        torch.testing.assert_close(found['scores'][own], wanted.scores, atol=1e-3, rtol=0)
        torch.testing.assert_close(found['boxes'][own], wanted.bboxes, atol=0.1, rtol=0)
        assert torch.equal(found['labels'][own], wanted.labels)
    assert len(found['boxes']) > 0
    assert (found['image_ids'].diff() >= 0).all()
