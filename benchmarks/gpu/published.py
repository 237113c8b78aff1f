"""What was measured beside what others published and what this project aims for."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..summary import best, ratio
from .backbone_speed import RESNET
from .parts import Row

# Ratios to ResNet-50 in mixed precision at 224 px. Paper: V100, table of the TResNet repository.
# timm: its benchmark tables; training with inplace-abn, inference with plain batch norm.
PAPER = {'M': dict(train=730 / 805, infer=2930 / 2830, batch=512 / 288),
         'L': dict(train=345 / 805, infer=1390 / 2830, batch=316 / 288)}
TIMM_3090 = dict(NCHW=793 / 826, channels_last=233 / 1218, best=793 / 1218)
TIMM_4090 = dict(NCHW=4616 / 4218, channels_last=5412 / 5088, compiled=8211 / 8237)


def figures(parts: Sequence[Row], with_targets: bool) -> list[Row]:
    """Ratios: quantity, measured, target, met, published; what was not measured is left out.

    Args:
        parts: Results of the parts.
        with_targets: Whether the sizes are those that targets and published figures are for.
    """
    rows = {part['name']: part['rows'] for part in parts}
    wanted = [*_training(rows), *_inference(rows), *_batches(rows), *_layers(rows)]
    table = []
    for quantity, measured, target, published in wanted:
        if measured is None:
            continue
        row: dict[str, Any] = dict(quantity=quantity, measured=measured)
        if with_targets and target is not None:
            row.update(target=f'>= {target}', met=measured >= target)
        if with_targets and published is not None:
            row.update(published=published)
        table.append(row)
    return table


Figure = tuple[str, float | None, float | None, str | None]
Rows = Mapping[str, Sequence[Row]]


def _training(parts: Rows) -> Iterator[Figure]:
    rows = parts.get('backbones, training', [])

    def against(model: str, other: str, form: str | None = None) -> float | None:
        return ratio(best(rows, model, 'train', format=form), best(rows, other, 'train',
                                                                   format=form))

    yield from ((f'TResNet-M / ResNet-50, training, {form}', against('TResNet-M', RESNET, form),
                 None, f'timm, RTX 3090: {TIMM_3090[form]:.2f}')
                for form in ('NCHW', 'channels_last'))
    yield ('TResNet-M / ResNet-50, training, best formats', against('TResNet-M', RESNET), 1.0,
           f'paper, V100: {PAPER["M"]["train"]:.2f}; timm, RTX 3090: {TIMM_3090["best"]:.2f}')
    yield ('TResNet-M (triton) / ResNet-50, training, best formats',
           against('TResNet-M (triton)', RESNET), 1.0, None)
    yield ('TResNet-L / ResNet-50, training, best formats', against('TResNet-L', RESNET), None,
           f'paper, V100: {PAPER["L"]["train"]:.2f}')
    for model in ('TResNet-M', 'TResNet-M (triton)'):
        for form, target in (('NCHW', None), ('channels_last', 3.0)):
            yield (f'{model} / TResNet-M (inplace-abn), training, {form}',
                   against(model, 'TResNet-M (inplace-abn)', form), target, None)
    kept = {name: best(rows, name, 'train', 'saved_MiB_per_image') for name in
            (RESNET, 'TResNet-M')}
    yield ('ResNet-50 / TResNet-M, kept for backward', ratio(kept[RESNET], kept['TResNet-M']),
           None, None)
    rows = parts.get('backbones, training, compiled', [])
    yield ('TResNet-M / ResNet-50, training, compiled',
           against('TResNet-M, compiled', f'{RESNET}, compiled'), None, None)


def _inference(parts: Rows) -> Iterator[Figure]:
    rows = [*parts.get('backbones, inference', []),
            *parts.get('backbones, inference, compiled', []),
            *parts.get('TResNet-L, inference, compiled', [])]

    def against(model: str, other: str, form: str | None = None) -> float | None:
        return ratio(best(rows, model, 'infer', format=form), best(rows, other, 'infer',
                                                                   format=form))

    yield from ((f'TResNet-M / ResNet-50, inference, {form}', against('TResNet-M', RESNET, form),
                 None, f'timm, RTX 4090: {TIMM_4090[form]:.2f}')
                for form in ('NCHW', 'channels_last'))
    yield ('TResNet-M / ResNet-50, inference, best formats', against('TResNet-M', RESNET), 1.1,
           f'paper, V100: {PAPER["M"]["infer"]:.2f}; timm, RTX 4090 and 5090: 1.06 to 1.11')
    yield ('TResNet-M (triton) / ResNet-50, inference, best formats',
           against('TResNet-M (triton)', RESNET), 1.1, None)
    yield ('TResNet-L / ResNet-50, inference, best formats', against('TResNet-L', RESNET), None,
           f'paper, V100: {PAPER["L"]["infer"]:.2f}')
    for name in ('M', 'L'):
        yield (f'TResNet-{name} fused / ResNet-50 folded, inference, best formats',
               against(f'TResNet-{name}, fused', f'{RESNET}, folded'), None, None)
    yield ('TResNet-M fused / ResNet-50 folded, inference, compiled',
           against('TResNet-M, fused, compiled', f'{RESNET}, folded, compiled'), 1.0,
           'timm, RTX 4090 and 5090, not folded: 0.90 to 1.00')
    yield ('TResNet-L fused / ResNet-50 folded, inference, compiled',
           against('TResNet-L, fused, compiled', f'{RESNET}, folded, compiled'), None, None)


def _batches(parts: Rows) -> Iterator[Figure]:
    rows = parts.get('largest batch', [])
    for model, target, paper in (('TResNet-M', 1.9, PAPER['M']), ('TResNet-L', None, PAPER['L'])):
        measured = ratio(*(best(rows, name, 'largest batch', 'batch') for name in (model, RESNET)))
        yield (f'{model} / ResNet-50, largest batch', measured, target,
               f'paper, V100: {paper["batch"]:.2f}')


def _layers(parts: Rows) -> Iterator[Figure]:
    for mode in ('training', 'inference'):
        rows = parts.get(f'FCOS, {mode}', [])
        key = dict(training='train', inference='infer')[mode]
        speeds = (best(rows, f'FCOS {name}', key) for name in ('TResNet-M', RESNET))
        yield f'FCOS TResNet-M / ResNet-50, {mode}, best formats', ratio(*speeds), None, None
    rows = parts.get('norms', [])
    for ours, other in (('InPlaceABN', 'batch norm + leaky ReLU'),
                        ('InPlaceABN, triton', 'batch norm + leaky ReLU'),
                        ('InPlaceABN, triton', 'InPlaceABN'), ('InPlaceABN', 'inplace-abn'),
                        ('InPlaceABN, triton', 'inplace-abn')):
        ms = {layer: {(row['shape'], row['format']): row['ms']
                      for row in rows if row['layer'] == layer and 'ms' in row}
              for layer in (ours, other)}
        found = [ms[other][case] / ms[ours][case] for case in ms[ours].keys() & ms[other].keys()]
        yield f'{ours} / {other}, the layer, least', min(found, default=None), None, None
    first = {row['loss']: row['ms forward+backward'] for row in reversed(
        parts.get('losses', []))}
    yield ('AsymmetricLoss / binary cross entropy, speed',
           ratio(first.get('binary cross entropy'), first.get('AsymmetricLoss')), None, None)
