"""What TResNet takes for an image."""

import copy

#: Keywords of mmengine's and mmdet's data preprocessors that make RGB in [0, 1] of OpenCV's BGR
#: images. The published weights expect no other normalisation; with ImageNet's mean and standard
#: deviation their scores are very low.
UNIT_RGB = dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True)


def image_preprocessor() -> dict:
    """Return the config of a data preprocessor for TResNet with an image-level head."""
    return dict(type='ImgDataPreprocessor', **copy.deepcopy(UNIT_RGB))
