"""One pass of a detector's backbone and neck that image-level heads read, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

#: What a part of a model returns: feature maps (N, C, H, W), the finest first, or the only one.
Maps = Sequence[Tensor] | Tensor
#: Feature maps by the part of a detector that they come from.
Features = Mapping[str, Maps]
#: The parts whose features an image-level head may read.
PARTS = ('backbone', 'neck')


class SharedFeatures:
    """The features of a detector that image-level heads read.

    Args:
        read: The parts of the detector that any head reads.
    """

    def __init__(self, read: Iterable[str]) -> None:
        # the backbone always: it is what batches annotated in part are computed by
        self.parts = [part for part in PARTS if part == 'backbone' or part in set(read)]

    @contextmanager
    def watched(self, detector: nn.Module) -> Iterator[dict[str, Any]]:
        """Collect what the parts return, in their first pass, while something else runs them."""
        found: dict[str, Any] = {}
        with ExitStack() as hooks:
            for part in self.parts:
                def keep(module: nn.Module, args: Any, output: Any, part: str = part) -> None:
                    found.setdefault(part, output)
                hooks.callback(getattr(detector, part).register_forward_hook(keep).remove)
            yield found

    def computed(self, detector: nn.Module, inputs: Tensor) -> dict[str, Any]:
        """Run the parts by themselves on a batch (N, 3, H, W)."""
        found, value = {}, inputs
        for part in self.parts:
            found[part] = value = getattr(detector, part)(value)
        return found

    @contextmanager
    def answering(self, detector: nn.Module, features: Features,
                  chosen: Sequence[int]) -> Iterator[None]:
        """Have the parts return what was computed already of some images of a batch."""
        with ExitStack() as stack:
            for part in self.parts:
                given = of_images(features[part], chosen)
                stack.enter_context(answering(getattr(detector, part), given))
            yield


def to_learn_from(features: Features, head: Any) -> Maps:
    """The feature maps that an image-level head reads, cut off where its loss is to leave them."""
    maps = features[head.features]
    if not head.detach_features:
        return maps
    return maps.detach() if isinstance(maps, Tensor) else tuple(x.detach() for x in maps)


def of_images(maps: Maps, chosen: Sequence[int]) -> Maps:
    """The feature maps of some images of a batch."""
    if isinstance(maps, Tensor):
        return maps[chosen]
    return tuple(level[chosen] for level in maps)


@contextmanager
def answering(module: nn.Module, output: Any) -> Iterator[None]:
    """Have a module return what it has computed already, whatever it is called with.

    So any detector that calls its backbone computes its loss from some images of a batch.
    """
    hooks = module._forward_hooks.copy(), module._forward_pre_hooks.copy()
    module._forward_hooks.clear()  # the real pass had them
    module._forward_pre_hooks.clear()
    module.forward = lambda *args, **kwargs: output
    try:
        yield
    finally:
        del module.forward
        module._forward_hooks.update(hooks[0])
        module._forward_pre_hooks.update(hooks[1])
