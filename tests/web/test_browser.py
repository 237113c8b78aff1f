"""The page in a browser: images dropped, thresholds moved, a class's map, files that are none."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.chromium import DESK, PHONE, resize, start_chromium
from tresnet_mm.inference import Inferencer
from tresnet_mm.web.web_model import WebModel

PATIENCE = 120  # seconds for a step of a busy machine


class Browser:
    """Chromium, with what a visitor of the page does."""

    def __init__(self, folder: Path) -> None:
        self.driver = start_chromium(folder / 'profile', performance='ALL', browser='ALL')

    def all(self, selector: str) -> list:
        return self.driver.find_elements('css selector', selector)

    def wait(self, condition, what: str):
        """What a condition gives once it is true."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait
        return WebDriverWait(
            self.driver, PATIENCE, 0.2, [StaleElementReferenceException]).until(
                lambda _: condition(), f'{what}: not after {PATIENCE} s')

    def one(self, selector: str):
        return self.wait(lambda: self.all(selector), selector)[0]

    def drop(self, *files: Path) -> None:
        self.one('#files input[type=file]').send_keys('\n'.join(map(str, files)))

    def move(self, slider: str, value: float) -> None:
        box = self.one(f'#{slider} input[type=number]')
        box.click()
        box.send_keys('\ue009a\ue000', str(value), '\ue004')  # Ctrl+A, the value, Tab

    def choose(self, dropdown: str, start: str) -> None:
        def chosen() -> bool:
            items = [item for item in self.all(f'#{dropdown} ul li')
                     if item.text.strip('✓ \n').startswith(start)]
            # The page may draw the box anew once more, which closes its list.
            for element in items[:1] or self.all(f'#{dropdown} input')[:1]:
                element.click()
            return bool(items)

        self.wait(chosen, f'{start} of {dropdown}')

    def rows(self) -> list[list[str]]:
        """The table of results."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#results tbody tr')].map("
            'row => [...row.cells].map(cell => cell.innerText.trim()))')

    def caption(self) -> str:
        return ''.join(element.text for element in self.all('#results caption'))

    def picture_of(self, selector: str) -> np.ndarray:
        """The pixels of a picture on the page, BGR."""
        with urllib.request.urlopen(self.one(selector).get_attribute('src')) as answer:
            return cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)

    def photograph(self, file: Path) -> None:
        """The whole page, to its end, in a PNG."""
        height = self.driver.execute_script('return document.documentElement.scrollHeight')
        screen = self.driver.execute_script('return [window.innerWidth, window.innerHeight]')
        resize(self.driver, screen[0], height)
        self.driver.save_screenshot(str(file))
        resize(self.driver, *screen)

    def hosts(self) -> set[str]:
        """The hosts that the page asked anything."""
        events = [json.loads(entry['message'])['message']
                  for entry in self.driver.get_log('performance')]
        return {match[1] for event in events if event['method'] == 'Network.requestWillBeSent'
                if (match := re.match(r'(?:https?|wss?)://([^/:]+)',
                                      event['params']['request']['url']))}


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path)
    yield browser
    browser.driver.quit()


@pytest.fixture
def address(shapes_checkpoint, trained, tmp_path, repo_root):
    """A server for two models, as the command starts it; its end has to be tidy."""
    pytest.importorskip('gradio')
    for name in ('place', 'temporary'):
        (tmp_path / name).mkdir()
    with open(tmp_path / 'errors.txt', 'w') as errors:
        server = subprocess.Popen(
            [sys.executable, repo_root / 'tools/web.py', shapes_checkpoint,
             '='.join(map(str, trained['detector'])), '--port', '0', '--max-mb', '0.1',
             '--max-pixels', '20000', '--device', 'cpu'],
            cwd=tmp_path / 'place', env={**os.environ, 'TMPDIR': str(tmp_path / 'temporary')},
            stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            said = next((line for line in server.stdout if line.startswith('The page is at')), '')
            assert said, (tmp_path / 'errors.txt').read_text()
            yield said.split()[4]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=PATIENCE)
    assert server.returncode == 0
    assert 'Traceback' not in (tmp_path / 'errors.txt').read_text()
    assert not list((tmp_path / 'place').iterdir()), 'nothing is left where it ran'
    assert not list((tmp_path / 'temporary').glob('tresnet*')), 'nor of its visitors'


def table(result: dict) -> list[list[str]]:
    """How the page shows what `Inferencer` gives."""
    labels = [[f'{x["score"]:.2f}', x['label'], 'image'] for x in result['labels']]
    boxes = [[f'{x["score"]:.2f}', x['label'], ', '.join(f'{v:.0f}' for v in x['bbox'])]
             for x in result['boxes']]
    rows = labels + boxes
    return rows[:50] + [[f'and {len(rows) - 50} more']] * (len(rows) > 50)


@pytest.mark.slow
def test_a_visit(browser, address, shapes, shapes_checkpoint, bad_files,
                 tmp_path):
    inferencer = Inferencer(shapes_checkpoint, device='cpu', show_progress=False)
    model = WebModel('shapes', inferencer, 20_000)
    photos = sorted((shapes / 'val').iterdir())[:3]
    resize(browser.driver, *DESK)
    browser.driver.get(address)

    # several images, and files that are none
    browser.drop(*photos[:2], *bad_files.values())
    browser.wait(lambda: photos[0].name in browser.caption(), 'the first image')
    messages = browser.one('#left-out [role=alert]').text.splitlines()
    assert [name for name in bad_files if any(f"'{name}'" in said for said in messages)] == list(
        bad_files)
    assert not any('/' in said or 'Error' in said for said in messages)
    [expected] = inferencer(str(photos[0]), score_thr=0.3, threshold=0.5)
    assert browser.rows() == (table(expected) or [['nothing above the threshold']])
    browser.photograph(tmp_path / 'messages.png')

    # thresholds
    scores = sorted((box['score'] for box in inferencer(str(photos[0]), score_thr=0)[0]['boxes']),
                    reverse=True)
    above = round(scores[10], 2)
    [expected] = inferencer(str(photos[0]), score_thr=above, threshold=0.)
    assert 0 < len(expected['boxes']) < len(scores)
    before = browser.one('#pictures img').get_attribute('src')
    browser.move('boxes-above', above)
    browser.move('labels-above', 0)
    browser.wait(lambda: browser.rows() == table(expected), 'the results above the thresholds')
    browser.wait(lambda: browser.one('#pictures img').get_attribute('src') != before, 'picture')

    # the map of a class, on one image and on the next
    number = inferencer.classes.index('star')
    for shown in (0, 1):
        if shown:
            browser.all('#pictures button.thumbnail-item')[shown].click()
            browser.wait(lambda: photos[1].name in browser.caption(), 'the second image')
        else:
            browser.choose('map-class', 'star')
        wanted, text = model.draw_map(model.find(str(photos[shown]), ''), number)
        browser.wait(lambda text=text: browser.one('#map-text').text.strip() == text, 'map')
        picture = browser.picture_of('#map img')[..., ::-1]
        assert picture.shape == wanted.shape
        assert np.abs(picture.astype(float) - wanted).mean() < 4, 'but for the JPEG'
    browser.photograph(tmp_path / 'page.png')

    # a file that is too large, told before it is sent; what is there stays
    large = tmp_path / 'large.jpg'
    large.write_bytes(bytes(200_000))
    browser.drop(large)
    said = browser.wait(lambda: [x.text for x in browser.all('.toast-body') if x.text], 'message')
    assert 'large.jpg' in said[0] and '/' not in said[0]
    browser.drop(photos[2])
    browser.wait(lambda: len(browser.all('#pictures button.thumbnail-item')) >= 3, 'one more')

    # another model, without labels
    browser.choose('model', 'detector')
    browser.wait(lambda: not any(x.is_displayed() for x in browser.all('#labels-above')), 'labels')
    browser.wait(lambda: not any(x.is_displayed() for x in browser.all('#map-class')), 'maps')

    # on a phone
    resize(browser.driver, *PHONE)
    assert browser.driver.execute_script(
        'return document.documentElement.scrollWidth') <= PHONE[0], 'nothing is beside the screen'
    browser.photograph(tmp_path / 'phone.png')

    # nothing from elsewhere, nor asked for
    assert browser.hosts() == {'127.0.0.1'}
    assert not [entry for entry in browser.driver.get_log('browser')
                if 'Security Policy' in entry['message']]
    assert all(cv2.imread(str(tmp_path / f'{name}.png')).std() > 10
               for name in ('messages', 'page', 'phone'))
    assert list((tmp_path / 'temporary').iterdir()), 'which goes with the server'

