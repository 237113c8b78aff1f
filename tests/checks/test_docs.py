"""The page about the checks lists the checks that there are."""

from tresnet_mm.checks import CHECKS


def test_the_table_is_the_list_of_checks(repo_root):
    lines = (repo_root / 'docs/checks.md').read_text().splitlines()
    table = [line for line in lines if line.startswith('| ') and not line.startswith('| about')]
    assert table == [
        f'| {topic} | {check.__doc__.splitlines()[0]} | `{check.__name__.removeprefix("check_")}` |'
        for topic, checks in CHECKS.items() for check in checks]
