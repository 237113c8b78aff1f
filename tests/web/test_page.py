"""What happens on the page, by the functions that gradio calls."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

gr = pytest.importorskip('gradio')

from tresnet_mm.web import page as page_module  # noqa: E402
from tresnet_mm.web.page import Page, Session  # noqa: E402
from tresnet_mm.web.texts import classes_by_score, results_table, warnings_box  # noqa: E402
from tresnet_mm.web.web_model import WebModel  # noqa: E402


@pytest.fixture
def page(models):
    return Page(list(models.values()))


@pytest.fixture
def looked_at(monkeypatch):
    """The images that a model ran on."""
    found, find = [], WebModel.find
    monkeypatch.setattr(WebModel, 'find', lambda self, path, name: found.append(name) or find(
        self, path, name))
    return found


def take(page, session, kind, files, boxes_above=0.1, labels_above=0.5, own=False):
    """What ``Page.take`` shows, by name."""
    names = ('session', 'left_out', 'pictures', 'results', 'map_class', 'map', 'map_text')
    return dict(zip(names, page.take(session, kind, [str(file) for file in files], boxes_above,
                                     labels_above, own), strict=True))


def rows(html: str) -> list[list[str]]:
    return [re.findall('<td[^>]*>(.*?)</td>', row)
            for row in re.findall('<tr>(.*?)</tr>', html) if '<td' in row]


def test_several_images_in_their_order(page, photos):
    shown = take(page, Session(), 'joint', photos[:3])
    assert [name for _, name in shown['pictures']['value']] == [p.name for p in photos[:3]]
    assert shown['pictures']['selected_index'] == 0 and not shown['left_out']['visible']
    assert f'<caption>{photos[0].name}, 96 × 70 pixels</caption>' in shown['results']
    [expected] = page.models['joint'].inferencer(str(photos[0]), score_thr=0.1, threshold=0.5)
    assert rows(shown['results']) == [
        [f'{x["score"]:.2f}', x['label'], 'image'] for x in expected['labels']] + [
        [f'{x["score"]:.2f}', x['label'], ', '.join(f'{v:.0f}' for v in x['bbox'])]
        for x in expected['boxes']]
    assert len(expected['boxes']) > 1


def test_bad_files_are_told_and_the_others_go_on(page, photos, bad_files):
    shown = take(page, Session(), 'detector', [*bad_files.values(), photos[0]])
    assert [name for _, name in shown['pictures']['value']] == [photos[0].name]
    assert shown['left_out']['visible'] and 'role="alert"' in shown['left_out']['value']
    messages = re.findall('<p>(.*?)</p>', shown['left_out']['value'])
    assert [message.split('&#x27;')[1] for message in messages] == list(bad_files)
    assert 'Traceback' not in shown['left_out']['value']


def test_an_image_is_run_once_until_another_model_is_chosen(page, photos, looked_at):
    first = take(page, Session(), 'joint', photos[:2])
    again = take(page, first['session'], 'joint', photos[1:3])
    assert looked_at == [p.name for p in photos[:3]]
    assert again['session'].findings[0] is first['session'].findings[1]
    page.redraw(again['session'], 0.5, 0.2, False)
    page.select(again['session'], 0.5, 0.2, False, None, SimpleNamespace(index=1))
    assert len(looked_at) == 3
    other = take(page, again['session'], 'detector', photos[:1])
    assert looked_at[3:] == [photos[0].name] and other['session'].model == 'detector'


def test_a_threshold_changes_what_is_drawn(page, photos):
    session = take(page, Session(), 'joint', photos[:1])['session']
    many, few = (page.redraw(session, above, 1, False) for above in (0, 1))
    assert len(rows(many[1])) > 5 and rows(few[1]) == [['nothing above the threshold']]
    (one, _), (other, _) = many[0]['value'][0], few[0]['value'][0]
    assert one.shape == other.shape and not np.array_equal(one, other)


def test_the_map_of_a_class_follows_the_image_that_is_chosen(page, photos):
    shown = take(page, Session(), 'joint', photos[:2])
    session, model = shown['session'], page.models['joint']
    assert not shown['map']['visible'] and shown['map_class']['visible']
    scores = model.inferencer(str(photos[0]))[0]['scores']
    ranked = sorted(scores, key=scores.get, reverse=True)
    assert shown['map_class']['choices'] == [
        (f'{name}  {scores[name]:.2f}', model.classes.index(name)) for name in ranked]
    picture, text = page.draw_map(session, 1)
    expected, words = model.draw_map(session.findings[0], 1)
    assert picture['visible'] and np.array_equal(picture['value'], expected)
    assert text['value'] == words
    session, results, choice, picture, _ = page.select(
        session, 0.3, 0.5, False, 1, SimpleNamespace(index=1))
    assert session.selected == 1 and photos[1].name in results and choice['value'] == 1
    assert np.array_equal(picture['value'], model.draw_map(session.findings[1], 1)[0])


def test_a_detector_has_no_maps_and_no_labels(page, photos):
    shown = take(page, Session(), 'detector', photos[:1])
    assert not shown['map_class']['visible'] and not shown['map']['visible']
    assert [update['visible'] for update in page.choose_model('detector')] == [True, False, False]
    assert [update['visible'] for update in page.choose_model('classifier')] == [False, True, False]
    assert page.draw_map(shown['session'], 0)[0]['visible'] is False


def test_own_thresholds_of_a_model_are_the_choice_where_it_has_them(page, photos, monkeypatch):
    inferencer = page.models['classifier'].inferencer
    monkeypatch.setattr(inferencer, 'thresholds', np.array([0, 1, 1], np.float32))
    boxes, labels, own = page.choose_model('classifier')
    assert own['value'] and own['visible'] and not labels['visible'] and not boxes['visible']
    shown = take(page, Session(), 'classifier', photos[:1], own=True)
    assert [row[1] for row in rows(shown['results'])] == ['cat']
    assert rows(page.redraw(shown['session'], 0.3, 1, False)[1])[0] == [
        'nothing above the threshold']


def test_a_model_of_one_label_has_no_thresholds(one_label, photos):
    page = Page([one_label])
    assert [update['visible'] for update in page.choose_model('one')] == [False, False, False]
    shown = take(page, Session(), 'one', photos[:1])
    found = rows(shown['results'])
    assert len(found) == 6 and found[-1][1:] == ['all 2 others', 'image']
    assert sum(float(row[0]) for row in found) == pytest.approx(1, abs=0.03)
    assert rows(page.redraw(shown['session'], 0.3, 1., False)[1]) == found
    assert shown['map_class']['visible'] and len(shown['map_class']['choices']) == 7


def test_a_page_without_images(page, photos):
    shown = take(page, Session(), 'joint', photos[:1])
    empty = take(page, shown['session'], 'joint', [])
    assert empty['pictures'] == gr.update(value=None) and empty['results'] == ''
    assert not empty['map_class']['visible'] and not empty['session'].findings
    for session in (empty['session'], Session()):  # the second: after gradio has dropped it
        assert page.redraw(session, 0.3, 0.5, False)[1] == ''
        assert page.select(session, 0.3, 0.5, False, 1, SimpleNamespace(index=0))[1] == ''
        assert page.draw_map(session, 1)[0]['visible'] is False


def test_there_is_an_end_to_images(page, photos, monkeypatch):
    monkeypatch.setattr(page_module, 'MAX_IMAGES', 2)
    shown = take(page, Session(), 'joint', photos[:5])
    assert len(shown['session'].findings) == 2
    assert 'only the first 2 images are taken: 3 are left out' in shown['left_out']['value']


def test_names_are_text_whatever_they_hold():
    name = '<img src=x onerror=alert(1)>'
    box = dict(label=name, score=0.5, bbox=[0, 0, 9, 9])
    page = warnings_box([name]) + results_table(name, dict(width=9, height=9, boxes=[box]))
    assert '<img' not in page and page.count('&lt;img') == 3
    assert warnings_box([]) == ''


def test_a_long_table_has_an_end():
    boxes = [dict(label=str(n), score=0.5, bbox=[0, 0, 9, 9]) for n in range(53)]
    table = rows(results_table('a', dict(width=9, height=9, boxes=boxes)))
    assert len(table) == 51 and table[-1] == ['and 3 more']


def test_classes_are_ranked_by_score():
    assert classes_by_score(['a', 'b'], dict(a=.1, b=.2)) == [('b  0.20', 1), ('a  0.10', 0)]
