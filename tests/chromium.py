"""Chromium without a window, for the tests of pages."""

import shutil
from pathlib import Path
from typing import Any

import pytest

PHONE = (390, 844)
DESK = (1280, 900)
ARGUMENTS = (
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--hide-scrollbars')


def start_chromium(profile: Path, **logs: str) -> Any:
    """A driver of selenium's, with a profile of its own; skips the test where a part is missing.

    Args:
        profile: A folder for the profile.
        logs: What is logged, such as ``performance='ALL'``.
    """
    webdriver = pytest.importorskip('selenium.webdriver')
    programs = {name: shutil.which(name) for name in ('chromium', 'chromedriver')}
    if missing := [name for name, path in programs.items() if path is None]:
        pytest.skip(f'needs the programs {", ".join(missing)}')
    options = webdriver.ChromeOptions()
    options.binary_location = programs['chromium']
    for argument in (*ARGUMENTS, f'--user-data-dir={profile}'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', logs)
    return webdriver.Chrome(options, webdriver.ChromeService(programs['chromedriver']))


def resize(driver: Any, width: int, height: int) -> None:
    """Lay pages out for a screen of this size, also below a window's smallest one."""
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(
        width=width, height=height, deviceScaleFactor=1, mobile=False))
