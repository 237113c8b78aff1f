"""The fenced blocks of the pages, and what it takes to run them.

Shell and Python blocks are run in the order of their page, in one folder and one shell. A comment
above a block says what else there is to know; its parts are divided by semicolons:

    <!-- needs: COCO, a GPU -->   not run: what it needs is not there when tests run (`NEEDS`)
    <!-- given: shapes -->        run, after this was put into the folder (`tests/doc_given.py`)
    <!-- file: my_config.py -->   the content of a file: it is written, and read by later blocks
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

NEEDS = ('COCO', 'VOC', 'Open Images', 'a GPU', 'several GPUs', 'a fresh environment',
         'OpenVINO', 'the network', 'minutes', 'your data', 'your checkpoint', 'your runs')
RUN = ('sh', 'python')
SHOWN = ('text', 'csv', 'json', 'yaml', 'toml')
KEYS = ('needs', 'given', 'file')
#: What a page tells its reader to make, and the small one that the tests make in its place.
QUICK = {'tresnet-mm make-shapes\n': 'tresnet-mm make-shapes --num-train 32 --num-val 8\n'}

_FENCE = re.compile(r'(?:^<!--(?P<comment>(?:(?!-->).)*)-->\n)?'
                    r'^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^ *```$',
                    re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page and line, language and text, and what the comment above says."""

    page: str
    line: int
    language: str
    text: str
    needs: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    file: str | None = None

    @property
    def where(self) -> str:
        return f'{self.page}:{self.line}'

    @property
    def is_run(self) -> bool:
        return self.language in RUN and not self.needs and self.file is None


def read_blocks(path: Path) -> list[Block]:
    """The blocks of a page.

    Raises:
        ValueError: If a comment above a block has parts of another form.
    """
    text = path.read_text()
    blocks = []
    for match in _FENCE.finditer(text):
        line = text.count('\n', 0, match.start('language')) + 1
        parts = dict(_parts(match['comment'] or '', f'{path.name}:{line}'))
        blocks.append(Block(
            path.name, line, match['language'], match['text'],
            tuple(parts.get('needs', ())), tuple(parts.get('given', ())),
            next(iter(parts.get('file', ())), None)))
    return blocks


def _parts(comment: str, where: str) -> list[tuple[str, list[str]]]:
    parts = []
    for part in filter(None, map(str.strip, comment.split(';'))):
        key, colon, values = part.partition(':')
        if not colon or key not in KEYS:
            raise ValueError(f'{where}: {part!r} in the comment above is none of {KEYS}')
        parts.append((key, [value.strip() for value in values.split(',')]))
    return parts


def without_blocks(text: str) -> str:
    """A page's text without its fenced blocks."""
    return _FENCE.sub('', text)


def script(blocks: list[Block]) -> str:
    """A shell script that follows a page: files are written, commands and Python run, in order.

    The Python blocks of a page are one session: each begins with those before it.
    """
    lines = ['set -euo pipefail']
    session = ''
    for block in blocks:
        lines.append(f'echo "== {block.where}"')
        if block.file is not None and not block.needs:
            lines += [f'mkdir -p "$(dirname {block.file})"',
                      f"cat > {block.file} <<'END_OF_FILE'", block.text + 'END_OF_FILE']
        elif block.is_run and block.language == 'sh':
            text = block.text
            for typed, quick in QUICK.items():
                text = text.replace(typed, quick)
            lines.append(text)
        elif block.is_run:
            session += block.text
            lines += ["python - <<'END_OF_PYTHON'", session + 'END_OF_PYTHON']
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':  # python tests/doc_blocks.py docs/get_started.md | bash
    print(script(read_blocks(Path(sys.argv[1]))), end='')
