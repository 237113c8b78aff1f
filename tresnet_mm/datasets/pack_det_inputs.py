"""mmdet's packing of an image and its boxes, without its slow copy."""

from mmdet.datasets.transforms import PackDetInputs

from .channel_planes import channel_planes


class FastPackDetInputs(PackDetInputs):
    """What mmdet's configs get as ``PackDetInputs``: the same arguments and tensors."""

    def transform(self, results: dict) -> dict:
        """Pack ``results``, whose ``img`` is (H, W, 3) or (H, W)."""
        if 'img' in results:
            # A view of planes: mmdet's own step to planes has nothing left to copy.
            results['img'] = channel_planes(results['img']).transpose(1, 2, 0)
        return super().transform(results)
