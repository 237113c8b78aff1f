"""mmdet's class-aware sampler, which draws images without labels too."""

from mmdet.datasets.samplers import ClassAwareSampler
from mmengine.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class BackgroundSampler(ClassAwareSampler):
    """Draws a class first and then one of its images, where 'no class at all' is one class more.

    So images without a label come as often as those of any class, and not never, as with mmdet's
    ``ClassAwareSampler``. The data set has to keep them: ``keep_empty=True`` for labels,
    ``filter_cfg=dict(filter_empty_gt=False)`` for boxes. Arguments are those of the
    ``ClassAwareSampler``.
    """

    def get_cat2imgs(self) -> dict[int, list]:
        """Indices of the images of each class, and in the end those of none."""
        images = super().get_cat2imgs()
        labelled = {index for indices in images.values() for index in indices}
        images[len(images)] = [i for i in range(len(self.dataset)) if i not in labelled]
        return images
