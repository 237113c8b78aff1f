"""What MkDocs does to the pages of docs/ on their way into the site.

The pages are read in the checkout too, so their links may lead out of docs/: to pictures that the
benchmarks draw, to results and sources. The site takes such pictures along; of other files, which
it does not have, it shows the names. CHANGELOG.md and CONTRIBUTING.md, which belong to the
checkout's top, become pages.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP_PAGES = {'CHANGELOG.md': 'changelog.md', 'CONTRIBUTING.md': 'contributing.md'}
OUTSIDE = re.compile(r'(!?)\[([^]]*)\]\(\.\./([^)#]+)(#[^)]*)?\)')
PICTURES = ('.png', '.gif', '.svg')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures that lie outside docs/."""
    top = Path(config.config_file_path).parent
    for name, page in TOP_PAGES.items():
        text = (top / name).read_text().replace('](docs/', '](')
        files.append(File.generated(config, page, content=text))
    linked = {path for file in files.documentation_pages()
              for _, _, path, _ in OUTSIDE.findall(file.content_string)
              if path.endswith(PICTURES)}
    for path in sorted(linked):
        files.append(File.generated(config, _in_site(path), abs_src_path=str(top / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the links that leave docs/ to what the site has."""
    def inside(match: re.Match[str]) -> str:
        mark, text, path, _ = match.groups()
        if path.endswith(PICTURES):
            return f'{mark}[{text}]({_in_site(path)})'
        if path in TOP_PAGES:
            return f'[{text}]({TOP_PAGES[path]})'
        return text if '`' in text else f'`{path}`'

    return OUTSIDE.sub(inside, markdown)


def _in_site(path: str) -> str:
    return f'images/{Path(path).name}'
