"""A config that trains on a written data set, with a reason beside every value it chose."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .choices import ARCHS, TASKS, Choices, choose
from .measures import Measures

_WIDTH = 100
_BASES = {
    ('tiny', 'detection'): 'fcos_tresnet_tiny_shapes', ('m', 'detection'): 'fcos_tresnet_m',
    ('tiny', 'both'): 'multitask_fcos_tresnet_tiny_shapes',
    ('m', 'both'): 'multitask_fcos_tresnet_m',
    ('tiny', 'multi-label'): 'multilabel_tresnet_tiny_shapes',
    ('m', 'multi-label'): 'multilabel_tresnet_m_224',
    ('tiny', 'single-label'): 'multilabel_tresnet_tiny_shapes',
    ('m', 'single-label'): 'multilabel_tresnet_m_224',
}
_BEST = {'detection': 'coco/bbox_mAP', 'both': 'coco/bbox_mAP', 'multi-label': 'multi-label/mAP',
         'single-label': 'single-label/top1'}


@dataclass(frozen=True)
class ConfigPlan:
    """What a config is to be for."""

    task: str
    """One of `TASKS`."""
    arch: str
    """One of `ARCHS`."""
    classes: tuple[str, ...]
    measures: Measures
    """Of the training part."""
    parts: tuple[str, str, str]
    """Names of the files of the training, validation and test part, without folder and suffix."""
    image_root: Path | None
    """Where the images lie; None: in ``images`` beside the config."""
    pretrained: bool = True
    """Begin with published weights (only arch m has some)."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (('task', self.task, TASKS), ('arch', self.arch, ARCHS)):
            if value not in known:
                raise ValueError(f'{name} {value!r} is none of {known}')

    @property
    def has_boxes(self) -> bool:
        return self.task in ('detection', 'both')


def config_text(plan: ConfigPlan) -> str:
    """The text of a config, ready to be written beside ``annotations`` and ``labels``.

    Files are named relative to the config's own folder, so that the folder can be moved.
    """
    chosen = choose(plan.measures, plan.classes, plan.task, plan.arch)
    blocks = [_head(plan), _data_names(plan), _model(plan, chosen), _pipelines(plan, chosen),
              _loaders(plan, chosen), _evaluation(plan), _schedule(plan, chosen), _runtime(plan)]
    return '\n'.join(blocks)


def _note(text: str) -> str:
    """A comment, over as many lines as it takes."""
    return '\n'.join(textwrap.wrap(
        text, _WIDTH, initial_indent='# ', subsequent_indent='# ', break_long_words=False,
        break_on_hyphens=False)) + '\n'


def _head(plan: ConfigPlan) -> str:
    what = {'detection': 'Boxes', 'both': 'Boxes and image labels', 'multi-label': 'Image labels',
            'single-label': 'One label an image'}[plan.task]
    size = ('a small TResNet from scratch, which a CPU trains in minutes' if plan.arch == 'tiny'
            else 'TResNet-M ' + ('from published weights' if plan.pretrained else 'from scratch'))
    return (_note(f'{what} of {len(plan.classes)} classes, {plan.measures.images} training images: '
                  f'{size}. Written by `tresnet-mm prepare-data`; the comments say why, and every '
                  'value may be changed.')
            + f"_base_ = 'tresnet_mm::{_BASES[plan.arch, plan.task]}.py'\n")


def _data_names(plan: ConfigPlan) -> str:
    if plan.image_root is None:
        where = ("image_root = '{{ fileDirname }}/images/'\n")
    else:
        root = plan.image_root.as_posix().rstrip('/') + '/'
        note = 'Where the images lie. If they move, change it'
        if _fits_a_variable(root):
            where = _note(f'{note}, or set IMAGE_ROOT.') \
                + f"image_root = '{{{{$IMAGE_ROOT:{root}}}}}'.rstrip('/') + '/'\n"
        else:
            where = _note(f'{note}.') + f'image_root = {root!r}\n'
    return (where + "# The folder of this file, wherever it is.\n"
            "data_root = '{{ fileDirname }}/'\n"
            f'metainfo = dict(classes={_names(plan.classes)})\n')


def _fits_a_variable(root: str) -> bool:
    """Whether mmengine's ``{{$NAME:default}}`` can have a path for its default."""
    return not any(character.isspace() or character in '{}\'"\\' for character in root)


def _names(classes: Sequence[str]) -> str:
    """A list of names over as many lines as it takes."""
    # No braces and backslashes as they are: mmengine replaces what stands in {{ }} before it reads.
    shown = [repr(name).replace('{', '\\x7b').replace('}', '\\x7d') + ', ' for name in classes]
    text, column = '(', len('metainfo = dict(classes=(')
    for name in shown:
        if column + len(name) > _WIDTH - 4:
            text, column = text.rstrip() + '\n    ', 4
        text += name
        column += len(name)
    return text.rstrip().rstrip(',') + (',)' if len(classes) == 1 else ')')


def _model(plan: ConfigPlan, chosen: Choices) -> str:
    count = len(plan.classes)
    note, backbone = _backbone(plan)
    if not plan.has_boxes:
        return note + _image_head(plan, chosen, backbone)
    first, number = chosen.levels.value
    strides = [first * 2 ** level for level in range(number)]
    edges = [-1, *(8 * stride for stride in strides[:-1]), '1e8']
    ranges = ', '.join(f'({low}, {high})' for low, high in zip(edges, edges[1:], strict=False))
    note += _note(f'{number} levels from a stride of {first} px: {chosen.levels.why}; '
                  f'{chosen.max_per_img.why}.')
    detector = [
        *([f'backbone=dict({backbone}),'] if backbone else []),
        f'neck=dict(start_level={0 if first == 4 else 1}, num_outs={number}),',
        'bbox_head=dict(',
        f'    num_classes={count},',
        f'    strides={strides},',
        f'    regress_ranges=({ranges})),',
        f'test_cfg=dict(max_per_img={chosen.max_per_img.value})']
    if plan.task == 'detection':
        return note + 'model = dict(\n' + textwrap.indent('\n'.join(detector), '    ') + ')\n'
    note += _note(f'gamma_neg: {chosen.gamma.why}. loss_weight: the number of classes, so that the '
                  "labels' loss is of the size of the boxes'.")
    return (note + 'model = dict(\n    detector=dict(\n'
            + textwrap.indent('\n'.join(detector), ' ' * 8) + '),\n'
            f'    image_head=dict(\n        num_classes={count},\n'
            f'        loss=dict(gamma_neg={chosen.gamma.value}, loss_weight={count})))\n')


def _backbone(plan: ConfigPlan) -> tuple[str, str]:
    """A comment, and the arguments that differ from the base's backbone."""
    if plan.arch == 'tiny':
        return '', ''
    if not plan.pretrained:
        return ('# From scratch: nothing is frozen.\n',
                'init_cfg=None, frozen_stages=-1, norm_eval=False')
    return _note('Published weights: the first run downloads them.'), ''


def _image_head(plan: ConfigPlan, chosen: Choices, backbone: str) -> str:
    before = f'    backbone=dict({backbone}),\n' if backbone else ''
    count = len(plan.classes)
    if plan.task == 'single-label':
        head = f"_delete_=True, type='SingleLabelHead', num_classes={count}"
        note = ''
    else:
        head = f'num_classes={count}, loss=dict(gamma_neg={chosen.gamma.value})'
        note = _note(f'gamma_neg: {chosen.gamma.why}.')
    return f'{note}model = dict(\n{before}    head=dict({head}))\n'


def _pipelines(plan: ConfigPlan, chosen: Choices) -> str:
    size = _note(f'scale: {chosen.side.why}. Change it here, for training and evaluation.')
    flip = _note(f'flip: {chosen.flip.why}.')
    if plan.has_boxes:
        return (size + f'scale = {chosen.scale}  # long side, short side\n' + flip
                + f'flip = {chosen.flip.value}\n' + _BOX_PIPELINES)
    pack = 'PackSingleLabelInputs' if plan.task == 'single-label' else 'PackMultiLabelInputs'
    return (size + f'scale = {chosen.scale}\n' + flip + f'flip = {chosen.flip.value}\n'
            + _LABEL_PIPELINES.format(pack=pack))


_BOX_PIPELINES = """\
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandomResize', scale=scale, ratio_range=(0.75, 1.25), keep_ratio=True),
    dict(type='RandomFlip', prob=flip),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
"""
# The whole image squished to a square, as the published weights were trained.
_LABEL_PIPELINES = """\
train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='AntialiasResize', scale=scale),
    dict(type='mmdet.PhotoMetricDistortion'),
    dict(type='RandomFlip', prob=flip),
    dict(type='{pack}'),
]
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='AntialiasResize', scale=scale),
    dict(type='{pack}'),
]
# What `tresnet-mm test --tta` averages: the image and, where mirrored ones are as good, its mirror.
tta_model = dict(type='MultiLabelTTAModel')
tta_pipeline = [
    *test_pipeline[:-1],
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=prob) for prob in ([0.0, 1.0] if flip else [0.0])],
        [dict(type='{pack}')]]),
]
"""


def _loaders(plan: ConfigPlan, chosen: Choices) -> str:
    if plan.has_boxes:
        dataset = "type='CheckedCocoDataset'"
        files = 'annotations/{}.json'
        extra = f'filter_cfg=dict(filter_empty_gt={not chosen.keep_empty.value}), '
        note = _note(f'filter_empty_gt: {chosen.keep_empty.why}.')
    else:
        kind = 'CustomSingleLabel' if plan.task == 'single-label' else 'CustomMultiLabel'
        dataset, files, extra, note = f'type={kind!r}', 'labels/{}.csv', '', ''
    workers = 4 if plan.arch == 'm' else 2 if plan.measures.short_side > 1000 else 0
    why = ('loading keeps up with the computing' if workers else
           'images of this size load in a fraction of a training step')
    train, val, test = (files.format(part) for part in plan.parts)
    common = (f'_delete_=True, num_workers={workers}, persistent_workers={workers > 0}')
    return (note + f'dataset = dict(\n    {dataset}, data_root=data_root, '
            'data_prefix=dict(img=image_root),\n    metainfo=metainfo)\n'
            + _note(f'batch_size: {chosen.batch.why}. num_workers: {why}.')
            + f'train_dataloader = dict(\n    {common}, batch_size={chosen.batch.value},\n'
            f'    drop_last={plan.measures.images > 2 * chosen.batch.value},'
            '  # norms dislike a last batch of one\n'
            "    sampler=dict(type='DefaultSampler', shuffle=True),\n"
            f'    dataset=dict(\n        ann_file={train!r}, pipeline=train_pipeline,\n'
            f'        {extra}**dataset))\n'
            f'val_dataloader = dict(\n    {common}, batch_size={chosen.batch.value},\n'
            "    sampler=dict(type='DefaultSampler', shuffle=False),\n"
            f'    dataset=dict(\n        ann_file={val!r}, pipeline=test_pipeline,\n'
            '        test_mode=True, **dataset))\n'
            'test_dataloader = dict(val_dataloader, dataset=dict(\n'
            f'    ann_file={test!r}, pipeline=test_pipeline, test_mode=True, **dataset))\n')


def _evaluation(plan: ConfigPlan) -> str:
    lines = []
    for loader, part in zip(('val', 'test'), plan.parts[1:], strict=True):
        coco = f"dict(type='CocoMetric', ann_file=data_root + 'annotations/{part}.json', " \
            "metric='bbox')"
        value = {
            'detection': coco,
            'both': f"[\n    {coco},\n    dict(type='MultiLabelMetric')]",
            'multi-label': "dict(type='MultiLabelMetric')",
            'single-label': "dict(_delete_=True, type='SingleLabelMetric')",
        }[plan.task]
        if plan.task == 'detection':
            value = f"dict(\n    _delete_=True, {coco.removeprefix('dict(')}"
        lines.append(f'{loader}_evaluator = {value}\n')
    return ''.join(lines)


def _schedule(plan: ConfigPlan, chosen: Choices) -> str:
    decay = 0.05 if plan.arch == 'tiny' else 0.01
    return (
        _note(f'{chosen.epochs.why}. Still getting better at the end: more epochs.')
        + f'max_epochs = {chosen.epochs.value}\n'
        + _note(f'val_interval: {chosen.interval.why} in all.')
        + f'train_cfg = dict(max_epochs=max_epochs, val_interval={chosen.interval.value})\n'
        + _note(f'lr: {chosen.rate.why}.')
        + 'optim_wrapper = dict(\n    _delete_=True,\n'
        "    type='OptimWrapper',\n"
        f"    optimizer=dict(type='AdamW', lr={chosen.rate.value}, weight_decay={decay}),\n"
        '    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0),\n'
        '    clip_grad=dict(max_norm=10, norm_type=2))\n'
        '# Up over the first 30 % of the steps, then down to nothing; changed every step.\n'
        'param_scheduler = [\n'
        "    dict(type='OneCycleFromLR', total_steps=max_epochs, by_epoch=True,\n"
        '         convert_to_iter_based=True)\n]\n'
        f'auto_scale_lr = dict(enable=False, base_batch_size={chosen.batch.value})\n')


def _runtime(plan: ConfigPlan) -> str:
    hooks = ''
    if plan.arch == 'm' and not plan.has_boxes:
        hooks = _note('No average of the weights: its memory is longer than this training.') \
            + 'custom_hooks = []\n'
    return (hooks + f'randomness = dict(seed={plan.seed})\n'
            'default_hooks = dict(\n    logger=dict(interval=20),\n'
            '    # the best epoch by its measure on the validation part, and the last one\n'
            f"    checkpoint=dict(max_keep_ckpts=1, save_best={_BEST[plan.task]!r}, "
            "rule='greater'))\n")
