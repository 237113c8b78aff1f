"""The table of what is needed: versions are compared as PEP 440 says, and the doctor is known."""

import itertools
import sys

import pytest
from packaging.version import Version

from tresnet_mm import _requirements

VERSIONS = ('2', '2.0', '2.0.9', '2.1', '2.1.0', '2.1.2+cu121', '2.1.0+cpu', '2.1.0.post1', '2.10',
            '2.1.0rc1', '2.1rc2', '2.1.0.dev20230901+cu118', '2.1.0a0+git1234', '2.2.0b1',
            '3.0.0rc1', '0.10.7', '0.10.12', '0.10.7rc0', '2.13.0')
MINIMA = ('2.1', '2.1.0', '0.10.7', '3.3.0')


@pytest.mark.parametrize(('version', 'minimum'), list(itertools.product(VERSIONS, MINIMA)))
def test_versions_are_compared_as_packaging_compares_them(version, minimum):
    assert _requirements.at_least(version, minimum) == (Version(version) >= Version(minimum))


@pytest.mark.parametrize('version', ['', 'unknown', 'git'])
def test_what_is_no_version_is_old(version):
    assert not _requirements.at_least(version, '0.1')
    assert _requirements.release(version) == ()


@pytest.mark.parametrize(('typed', 'argv', 'expected'), [
    (['-m', 'tresnet_mm.doctor'], ['-m'], True),
    (['-W', 'error', '-m', 'tresnet_mm.doctor', '--json'], ['-m', '--json'], True),
    (['-mtresnet_mm.doctor'], ['-m'], True),
    (['-m', 'tresnet_mm.doctor.probe', '[]', '[]'], ['-m', '[]', '[]'], True),
    (['-m', 'tresnet_mm', 'doctor'], ['-m', 'doctor'], True),
    (['/e/bin/tresnet-mm', 'doctor', '--json'], ['/e/bin/tresnet-mm', 'doctor', '--json'], True),
    (['/e/bin/tresnet-mm', 'train', 'doctor'], ['/e/bin/tresnet-mm', 'train', 'doctor'], False),
    (['-m', 'tresnet_mm', 'train', 'x'], ['-m', 'train', 'x'], False),
    (['-m', 'tresnet_mm.doctors'], ['-m'], False),
    (['-m', 'pytest', '-k', 'tresnet_mm.doctor'], ['/e/pytest', '-k', 'tresnet_mm.doctor'], False),
    (['tools/train.py', 'doctor'], ['tools/train.py', 'doctor'], False),
    (['-c', 'import tresnet_mm', 'doctor'], ['-c', 'doctor'], False),
    ([], [''], False),
])  # fmt: skip
def test_the_doctor_is_known_by_the_command_line(typed, argv, expected, monkeypatch):
    monkeypatch.setattr(sys, 'orig_argv', ['python', *typed])
    monkeypatch.setattr(sys, 'argv', argv)
    assert _requirements.runs_the_doctor() == expected


def test_an_embedded_python_without_a_command_line_has_no_doctor(monkeypatch):
    monkeypatch.delattr(sys, 'argv')
    assert not _requirements.runs_the_doctor()
