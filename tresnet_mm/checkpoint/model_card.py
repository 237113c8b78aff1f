"""The ``README.md`` beside a published file, as the Hugging Face hub shows it."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..config_tree import named_heads, type_name
from .published import Published

_TASKS = {'detection': 'object-detection', 'multi-label': 'image-classification',
          'single-label': 'image-classification',
          'both': 'object-detection'}
_WORDS = {'detection': 'boxes', 'multi-label': 'image-level labels',
          'single-label': 'one label an image',
          'both': 'boxes and image-level labels'}
_MOST_CLASSES = 200


def model_card(published: Published, file: str, sha256: str, parameters: int, dataset: str,
               license_id: str | None = None) -> str:
    """Markdown with the YAML head that the hub reads: library, tags, task, measurements.

    Args:
        published: What the file says.
        file: Its name.
        sha256: Of the file.
        parameters: Number of its values.
        dataset: Name of the data that it was measured on.
        license_id: As the hub names licences, such as 'apache-2.0'; None leaves it out.
    """
    title = file.removesuffix('.safetensors')
    network = f'TResNet-{published.arch.upper()}, ' if published.arch else ''
    head = _front_matter(published, title, dataset, license_id)
    return '\n\n'.join([
        f'---\n{head.strip()}\n---', f'# {title}',
        f'A `{published.model["type"]}` ({network}{parameters:,} parameters) that predicts '
        f'{_WORDS[published.task]} of {len(published.dataset_meta["classes"])} classes. Written by '
        f'`tresnet-mm publish` of tresnet_mm {published.version or "?"}; optimizer and training '
        'state are left out.',
        *_use(file), *_metrics(published, dataset), *_preprocessing(published),
        *_classes(published), *_image_heads(published), '## File',
        f'`{file}`, SHA-256 `{sha256}`. Its metadata hold all that this page says.']) + '\n'


def _front_matter(published: Published, title: str, dataset: str, license_id: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData
    task = _TASKS[published.task]
    tags = ['tresnet', 'mmdetection', published.task if published.task != 'both' else 'multi-label']
    if published.arch:
        tags.append(f'tresnet-{published.arch.replace("_", "-")}')
    results = [EvalResult(task_type=task, dataset_type=dataset.lower(), dataset_name=dataset,
                          metric_type=name, metric_name=name, metric_value=value)
               for name, value in published.metrics.items()]
    return ModelCardData(
        model_name=title if results else None, library_name='tresnet_mm', license=license_id,
        pipeline_tag=task, tags=[*tags, 'safetensors'], eval_results=results or None).to_yaml()


def _use(file: str) -> list[str]:
    return ['## Use', 'In Python, from the file alone:',
            f"```python\nfrom tresnet_mm import Inferencer\n\nresults = Inferencer('{file}')"
            "('photo.jpg')\n```",
            'To train on from it, or to start from its backbone alone, in a config of mmengine, '
            f"mmdet or tresnet_mm (`'hf://USER/REPO'` in place of `'{file}'` where it is on the "
            'hub):',
            f"```python\ncustom_imports = dict(imports=['tresnet_mm'])\nload_from = '{file}'\n"
            f"model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='{file}')))"
            '  # one of the two\n```',
            f'To evaluate it with a config: `tresnet-mm test CONFIG {file}`.']


def _metrics(published: Published, dataset: str) -> Iterable[str]:
    if published.metrics:
        rows = [f'| {_escape(name)} | {value:g} |' for name, value in published.metrics.items()]
        yield f'## Measured on {_escape(dataset)}'
        yield '\n'.join(['| metric | value |', '|---|---|', *rows])


def _preprocessing(published: Published) -> Iterable[str]:
    model = published.model.get('detector', published.model)
    yield '## Preprocessing'
    yield ('The steps that make an image (BGR, as OpenCV reads it) the input, then the '
           "model's own (`data_preprocessor`):")
    steps: list[Any] = [*published.test_pipeline, model.get('data_preprocessor', {})]
    yield '```json\n' + '\n'.join(json.dumps(step) for step in steps) + '\n```'


def _classes(published: Published) -> Iterable[str]:
    yield '## Classes'
    yield from _names(published.dataset_meta['classes'], published.thresholds)


def _image_heads(published: Published) -> Iterable[str]:
    """The heads of labels that are no classes of boxes, with their classes."""
    for name, head in named_heads(published.model).items():
        single = type_name(head.get('type')) == 'SingleLabelHead'
        yield f'## {_escape(name)}'
        yield (f'{"One label" if single else "Any number of labels"} an image, by a head of its '
               f'own (`{type_name(head.get("type"))}`); in results under '
               f'`image_labels` / `{name}`.')
        names = published.dataset_meta.get('image_classes', {}).get(
            name, [str(index) for index in range(head.get('num_classes', 0))])
        thresholds = head.get('thresholds')
        yield from _names(names, [thresholds] * len(names) if isinstance(thresholds, (int, float))
                          else thresholds)


def _names(names: Sequence[str], thresholds: Sequence[float] | None) -> Iterable[str]:
    """Classes, with their thresholds where there are some."""
    if thresholds is None:
        rows = [f'{index}. {_escape(name)}' for index, name in enumerate(names[:_MOST_CLASSES])]
    else:
        rows = ['| index | class | threshold |', '|---|---|---|']
        rows += [f'| {index} | {_escape(name)} | {threshold:.4g} |' for index, (name, threshold)
                 in enumerate(zip(names[:_MOST_CLASSES], thresholds, strict=False))]
    yield '\n'.join(rows)
    if len(names) > _MOST_CLASSES:
        yield f'and {len(names) - _MOST_CLASSES} more, which the file names.'


def _escape(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    text = ' '.join(text.split())
    for character in '\\`*_{}[]<>|#&':
        text = text.replace(character, f'\\{character}' if character not in '<>&' else
                            {'<': '&lt;', '>': '&gt;', '&': '&amp;'}[character])
    return text
