"""Machines as the doctor knows them, without a look at this one."""

from tresnet_mm._requirements import DEPENDENCIES
from tresnet_mm.doctor.machine import Machine

#: OneDL's line, in versions that fit each other: what `probe` says of each step.
ONEDL = dict(
    torch=dict(version='2.8.0', cuda='', gpu=''), numpy=dict(version='2.2.6'),
    cv2=dict(version='4.12.0'), mmengine=dict(version='0.10.12'), mmcv=dict(version='2.3.6'),
    mmdet=dict(version='3.5.1'), tresnet_mm=dict(version='1.0'),
    **{'mmcv.ops': dict(devices='cpu')},
    **{dependency.module: dict(version='9.0') for dependency in DEPENDENCIES[1:]})
ONEDL_DISTRIBUTIONS = {
    'torch': '2.8.0', 'numpy': '2.2.6', 'opencv-python': '4.12.0.88', 'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6', 'onedl-mmdetection': '3.5.1'}


def machine(torch: str = '2.8.0', cuda: str = '', gpu: str = '', **changes) -> Machine:
    """A Linux machine with torch and a compiler."""
    plain = Machine(
        python='/e/bin/python', version=(3, 11, 0), system='Linux', architecture='x86_64',
        has_pip=True, compiler='c++', driver='', nvcc='', distributions={},
        modules=dict(torch=dict(version=torch, cuda=cuda, gpu=gpu)) if torch else {})
    return plain._replace(**changes)


def missing(module: str) -> dict[str, str]:
    """What `probe` says of a module that is not there, or of what it imports and lacks."""
    return dict(error=f"ModuleNotFoundError: No module named '{module}'", missing=module)


def whole(distributions: dict[str, str] | None = None, **modules: dict) -> Machine:
    """A machine with all of OneDL's line, some of whose modules are as given.

    Args:
        distributions: Installed distributions; None for those of the line.
        **modules: What `probe` says of a module; ``mmcv_ops`` is its operators.
    """
    if 'mmcv_ops' in modules:
        modules['mmcv.ops'] = modules.pop('mmcv_ops')
    return machine(modules={**ONEDL, **modules}, distributions=(
        ONEDL_DISTRIBUTIONS if distributions is None else distributions))
