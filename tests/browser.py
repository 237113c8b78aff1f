"""A headless Chromium for tests that look at pages, driven by the WebDriver protocol.

Programs of the system: ``chromium`` and ``chromedriver`` (Debian's ``chromium-driver``). The few
requests that the tests need are plain HTTP, so no Python package stands between.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

PROGRAMS = ('chromium', 'chromedriver')
ARGUMENTS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--hide-scrollbars')
ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'  # the protocol's key of an element's name


def missing_programs() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Browser:
    """One browser with one window, as a context.

    Args:
        profile: An empty folder for the browser's files.
    """

    def __init__(self, profile: Path) -> None:
        self.profile = profile

    def __enter__(self) -> Browser:
        self.driver = subprocess.Popen(
            ['chromedriver', '--port=0'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True)
        started = next(line for line in self.driver.stdout if 'started successfully' in line)
        port = re.search(r'port (\d+)', started)[1]
        self.address = f'http://127.0.0.1:{port}/session'
        options = dict(binary=shutil.which('chromium'),
                       args=[*ARGUMENTS, f'--user-data-dir={self.profile}'])
        wanted = {'browserName': 'chrome', 'goog:chromeOptions': options}
        session = self._ask('POST', '', capabilities=dict(alwaysMatch=wanted))
        self.address += f'/{session["sessionId"]}'
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._ask('DELETE', '')
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=30)

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask('POST', '/url', url=url)

    def resize(self, width: int, height: int) -> None:
        """Lay pages out for a screen of this size, also below a window's smallest one."""
        metrics = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._ask('POST', '/goog/cdp/execute', cmd='Emulation.setDeviceMetricsOverride',
                  params=metrics)

    def run(self, script: str) -> Any:
        """What the body of a JavaScript function returns on the page."""
        return self._ask('POST', '/execute/sync', script=script, args=[])

    def wait_for(self, script: str, seconds: float = 30) -> Any:
        """Run a script until it returns something, and return that.

        Raises:
            TimeoutError: If it returns nothing in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.run(script):
                return found
            time.sleep(0.1)
        raise TimeoutError(f'nothing in {seconds:g} s: {script}')

    def type(self, selector: str, text: str) -> None:
        """Type into the first element that a CSS selector finds."""
        element = self._ask('POST', '/element', using='css selector', value=selector)[ELEMENT]
        self._ask('POST', f'/element/{element}/value', text=text)

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        request = urllib.request.Request(
            self.address + path, method=method, headers={'Content-Type': 'application/json'},
            data=json.dumps(content).encode() if method == 'POST' else None)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as answer:
            return json.load(answer)['value']
