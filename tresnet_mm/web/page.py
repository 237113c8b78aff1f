"""The page itself: what is on it, and what happens when something on it is moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from .texts import classes_by_score, results_table, warnings_box
from .web_model import BadImage, Finding, WebModel

MAX_IMAGES = 32
_BOXES_ABOVE = 0.3
_CSS = """
.left-out { border-left: 4px solid #dc2626; padding: 0 0.75em; overflow-wrap: anywhere; }
.left-out p { margin: 0.25em 0; }
.results, .results thead, .results tbody, .results tr { border: 0 !important; }
.results { width: 100%; font-variant-numeric: tabular-nums; }
.results caption { text-align: left; font-weight: 600; overflow-wrap: anywhere; }
.results th, .results td { padding: 0.15em 0.75em 0.15em 0 !important; text-align: left;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; }
"""


@dataclass
class Session:
    """What one visitor has on the page.

    Attributes:
        model: Name of the model.
        findings: Of the images that it could read, in their order.
        selected: Number of the one that is looked at.
    """

    model: str = ''
    findings: list[Finding] = field(default_factory=list)
    selected: int = 0


class Page:
    """A page on which images are dropped for a choice of models.

    A model runs once on an image; thresholds, and the choice of an image or a class, only draw
    what it said again. The methods are what gradio calls, and what they return are its updates.

    Args:
        models: With different names.
        max_mb: What the page says of the size of a file; the server is what refuses larger ones.
    """

    def __init__(self, models: Sequence[WebModel], max_mb: float = 20) -> None:
        self.models = {model.name: model for model in models}
        self.max_mb = max_mb

    def build(self) -> gr.Blocks:
        """The page, for ``gr.mount_gradio_app``, which takes its `style` too."""
        first = next(iter(self.models.values()))
        with gr.Blocks(title='tresnet_mm', analytics_enabled=False,
                       delete_cache=(3600, 3600)) as blocks:
            session = gr.State(Session())
            gr.Markdown('# Boxes and labels of your images')
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    model = gr.Dropdown(list(self.models), value=first.name, label='Model',
                                        elem_id='model')
                    files = gr.File(file_count='multiple', elem_id='files', height=180,
                                    label=f'Images (each up to {self.max_mb:g} MB)')
                    controls = self._controls(first)
                    map_class = gr.Dropdown([], label='Map of a class, by its score',
                                            visible=False, elem_id='map-class')
                with gr.Column(scale=2, min_width=320):
                    left_out = _text(visible=False, elem_id='left-out')
                    pictures = gr.Gallery(
                        label='Results', format='jpeg', preview=True, object_fit='contain',
                        height=480, interactive=False, buttons=['download', 'fullscreen'],
                        elem_id='pictures')
                    map_picture = gr.Image(
                        label='Where its score comes from', format='jpeg', interactive=False,
                        height=400, visible=False, buttons=['download', 'fullscreen'],
                        elem_id='map')
                    map_text = _text(visible=False, elem_id='map-text')
                    results = _text(elem_id='results')
            self._connect(session, model, files, controls, left_out, [pictures, results],
                          [map_class, map_picture, map_text])
        return blocks

    def _connect(self, session: gr.State, model: gr.Dropdown, files: gr.File, controls: list[Any],
                 left_out: gr.Markdown, drawn: list[Any], maps: list[Any]) -> None:
        """Have gradio call what is below."""
        # One after the other in the order they were asked for, so that no older picture comes after
        # a newer one, and the last wish is heard.
        hidden: dict[str, Any] = dict(api_visibility='private', concurrency_id='page',
                                      concurrency_limit=1, trigger_mode='always_last')
        quiet = dict(hidden, show_progress='hidden')
        taking = ([session, model, files, *controls], [session, left_out, *drawn, *maps])
        files.change(self.take, *taking, **hidden)
        model.input(self.choose_model, [model], controls, **hidden).then(
            self.take, *taking, **hidden)
        for control in controls:
            control.input(self.redraw, [session, *controls], drawn, **quiet)
        _, labels_above, own = controls
        own.input(lambda own: gr.update(visible=not own), [own], [labels_above], **quiet)
        pictures, results = drawn
        map_class, *map_shown = maps
        pictures.select(self.select, [session, *controls, map_class], [session, results, *maps],
                        **quiet)
        map_class.input(self.draw_map, [session, map_class], map_shown, **hidden)

    @staticmethod
    def style() -> dict[str, Any]:
        """The page's colours and letters: nothing is fetched from elsewhere."""
        return dict(css=_CSS, theme=gr.themes.Default(
            font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace']))

    def choose_model(self, name: str) -> list[Any]:
        """Thresholds as the model has them."""
        return [gr.update(**update) for update in _control_settings(self.models[name])]

    def take(self, session: Session, name: str, files: Sequence[str] | None, boxes_above: float,
             labels_above: float, own: bool) -> list[Any]:
        """Run the model on the images that it has not seen yet, and show all."""
        known = {finding.path: finding for finding in session.findings} if (
            session.model == name) else {}
        model, messages = self.models[name], []
        new = Session(name)
        for path in map(str, (files or [])[:MAX_IMAGES]):
            try:
                new.findings.append(known.get(path) or model.find(path, Path(path).name))
            except BadImage as error:
                messages.append(str(error))
        if files and len(files) > MAX_IMAGES:
            messages.append(f'only the first {MAX_IMAGES} images are taken: '
                            f'{len(files) - MAX_IMAGES} are left out')
        return [new, gr.update(value=warnings_box(messages), visible=bool(messages)),
                *self.redraw(new, boxes_above, labels_above, own), *self._maps(new, None)]

    def redraw(self, session: Session, boxes_above: float, labels_above: float, own: bool
               ) -> list[Any]:
        """Draw what was found, by other thresholds."""
        if not session.findings:
            return [gr.update(value=None), '']
        model = self.models[session.model]
        decision = model.decision(boxes_above, None if own else labels_above)
        pictures = [(model.draw(finding, decision), finding.name) for finding in session.findings]
        return [gr.update(value=pictures, selected_index=session.selected),
                self._results(session, boxes_above, labels_above, own)]

    def select(self, session: Session, boxes_above: float, labels_above: float, own: bool,
               number: int | None, event: gr.SelectData) -> list[Any]:
        """Look at another image."""
        if not session.findings:
            return [session, '', *self._maps(session, None)]
        session.selected = min(max(int(event.index), 0), len(session.findings) - 1)
        return [session, self._results(session, boxes_above, labels_above, own),
                *self._maps(session, number)]

    def draw_map(self, session: Session, number: int | None) -> list[Any]:
        """Show the map of a class on the image that is looked at."""
        if number is None or not session.findings or not self.models[session.model].has_maps:
            return [gr.update(value=None, visible=False), gr.update(value='', visible=False)]
        picture, text = self.models[session.model].draw_map(
            session.findings[session.selected], int(number))
        return [gr.update(value=picture, visible=True), gr.update(value=text, visible=True)]

    def _maps(self, session: Session, number: int | None) -> list[Any]:
        """The choice of a class, and the map of the one that is chosen."""
        model = self.models.get(session.model)
        if model is None or not (session.findings and model.has_maps):
            return [gr.update(choices=[], value=None, visible=False),
                    *self.draw_map(session, None)]
        result = model.describe(session.findings[session.selected], model.decision(1.))
        choices = classes_by_score(model.classes, result['scores'])
        return [gr.update(choices=choices, value=number, visible=True),
                *self.draw_map(session, number)]

    def _results(self, session: Session, boxes_above: float, labels_above: float, own: bool) -> str:
        model, finding = self.models[session.model], session.findings[session.selected]
        decision = model.decision(boxes_above, None if own else labels_above)
        return results_table(finding.name, model.describe(finding, decision))

    @staticmethod
    def _controls(model: WebModel) -> list[Any]:
        boxes, labels, own = _control_settings(model)
        return [gr.Slider(0, 1, step=0.01, label='Boxes above', elem_id='boxes-above', **boxes),
                gr.Slider(0, 1, step=0.01, label='Labels above', elem_id='labels-above', **labels),
                gr.Checkbox(label='Labels by the thresholds that the model has for its classes',
                            elem_id='own-thresholds', **own)]


def _text(**settings: Any) -> gr.Markdown:
    """Text in HTML. ``gr.HTML`` would have the browser evaluate it, which the `Door` forbids."""
    return gr.Markdown(latex_delimiters=[], **settings)


def _control_settings(model: WebModel) -> list[dict[str, Any]]:
    """What the thresholds start with, and which of them the model needs."""
    common = model.common_threshold
    by_score = model.has_labels and not model.one_label
    several = by_score and common is None
    return [dict(value=_BOXES_ABOVE, visible=model.has_boxes),
            dict(value=0.5 if common is None else common,
                 visible=by_score and not several),
            dict(value=several, visible=several)]
