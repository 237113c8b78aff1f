"""The site of the pages: built without a warning, whole by itself, searched, read on a phone."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

PHONE = (390, 844)
ARGUMENTS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--hide-scrollbars')


@pytest.fixture(scope='module')
def site(repo_root, tmp_path_factory) -> Path:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])
    mkdocs = shutil.which('mkdocs', path=path)
    if mkdocs is None:
        pytest.skip("needs the packages of the extra 'docs': there is no program mkdocs")
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [mkdocs, 'build', '--strict', '-d', folder], cwd=repo_root, capture_output=True, text=True,
        env={**os.environ, 'PATH': path, 'NO_MKDOCS_2_WARNING': '1'})
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


class Loaded(HTMLParser):
    """Collects what a page loads when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == 'link' and given.get('rel') not in ('canonical', 'prev', 'next', 'alternate'):
            self.addresses.append(given['href'])
        elif tag in ('script', 'img', 'iframe', 'source', 'video', 'audio') and 'src' in given:
            self.addresses.append(given['src'])


@pytest.mark.slow
def test_nothing_comes_from_other_hosts(site):
    pages = list(site.rglob('*.html'))
    assert len(pages) > 20
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text())
        assert loaded.addresses
        elsewhere = [a for a in loaded.addresses if re.match(r'[a-z]+:|//', a)
                     and not a.startswith('data:')]
        assert elsewhere == [], page
        for address in loaded.addresses:
            if page.name != '404.html' and not address.startswith('data:'):
                assert (page.parent / address.partition('?')[0]).exists(), (page, address)
    for sheet in site.rglob('*.css'):
        assert not re.search(r'url\(["\']?(https?:)?//', sheet.read_text()), sheet


@pytest.mark.slow
def test_every_page_is_in_the_site(site, repo_root):
    for page in (repo_root / 'docs').rglob('*.md'):
        name = page.relative_to(repo_root / 'docs').with_suffix('')
        assert (site / (name.parent if name.name == 'index' else name) / 'index.html').is_file()
    assert (site / 'changelog/index.html').is_file()


@pytest.fixture(scope='module')
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}/'
        server.shutdown()
        thread.join()


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    webdriver = pytest.importorskip('selenium.webdriver')
    programs = {name: shutil.which(name) for name in ('chromium', 'chromedriver')}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f'needs the programs {", ".join(missing)}')
    options = webdriver.ChromeOptions()
    options.binary_location = programs['chromium']
    for argument in (*ARGUMENTS, f'--user-data-dir={tmp_path_factory.mktemp("profile")}'):
        options.add_argument(argument)
    service = webdriver.ChromeService(programs['chromedriver'])
    with webdriver.Chrome(options, service) as browser:
        yield browser


def resize(browser, width: int, height: int) -> None:
    """Lay pages out for a screen of this size, also below a window's smallest one."""
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(
        width=width, height=height, deviceScaleFactor=1, mobile=False))


@pytest.mark.slow
def test_the_search_finds_the_gammas(browser, address):
    wait = pytest.importorskip('selenium.webdriver.support.wait').WebDriverWait(browser, 30)
    resize(browser, 1280, 900)
    browser.get(address)
    browser.find_element('css selector', 'input.md-search__input').send_keys('gamma')
    found = wait.until(lambda _: browser.execute_script(
        "return [...document.querySelectorAll('.md-search-result__link')].map(a => a.href)"))
    pages = [link.removeprefix(address).partition('?')[0] for link in found]
    assert any(page.startswith(('multilabel/', 'questions/')) for page in pages), pages
    resources = browser.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in resources if not name.startswith((address, 'data:', 'blob:'))] == []


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone(browser, address, site):
    resize(browser, *PHONE)
    wide = {}
    for page in sorted(site.rglob('index.html')):
        browser.get(address + page.parent.relative_to(site).as_posix())
        width = browser.execute_script('return document.documentElement.scrollWidth')
        if width > PHONE[0]:
            wide[page.parent.name] = width
    assert wide == {}
