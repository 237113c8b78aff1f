"""TResNet as the backbone inside mmseg's ICNet."""

from mmengine.registry import MODELS
from torch import Tensor, nn

from .layers import pad_to_cells
from .tresnet import TResNet


@MODELS.register_module()
class ICNetTResNet(TResNet):
    """TResNet for mmseg's ``ICNet``, which runs the parts of a ResNet by their names.

    These are ``stem``, ``maxpool`` and ``layer1`` to ``layer4``. The arguments are those of
    `TResNet`.

    Examples:
        >>> import torch
        >>> backbone, image = ICNetTResNet('s').eval(), torch.rand(1, 3, 64, 62)
        >>> backbone.maxpool = torch.nn.MaxPool2d(3, 2)
        >>> torch.equal(backbone.layer1(backbone.maxpool(backbone.stem(image))), backbone(image)[0])
        True
    """

    def stem(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W), RGB in [0, 1], to (N, C', H / 4, W / 4), rounded up."""
        return self.conv1(self.space_to_depth(pad_to_cells(x)))

    @property
    def maxpool(self) -> nn.Module:
        """Nothing, also where ICNet puts a pool: the stem has ResNet's stride of 4 without."""
        return nn.Identity()
