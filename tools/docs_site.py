"""Writes the documents as a site that needs no network and no script: one page for each, checked link by link."""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

ROOT: Final = Path(__file__).resolve().parents[1]
NAVIGATION: Final = (
    ("", ("README.md",)),
    ("Guides", ("docs/first-run.md", "docs/reading-a-proof.md", "docs/policy.md", "docs/gates.md", "docs/ci.md", "docs/agents.md", "docs/regression-tests.md", "docs/attesting.md", "docs/writing-a-rule.md", "docs/upgrading.md")),
    ("Reference", ("docs/usage.md", "docs/output.md", "docs/sandbox.md", "docs/secrets.md", "docs/targets.md")),
    ("Project", ("SECURITY.md", "CHANGELOG.md", "examples/tuckshop/README.md", "examples/tuckshop/WRONG.md")),
    ("Breaks", ("docs/rules/README.md",)),
)
"""Title -> pages in their order; the breaks are listed by their own index."""
_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--link:#0a58ca}
@media(prefers-color-scheme:dark){:root{--link:#7db4ff}}
*{box-sizing:border-box}
body{margin:0;font:1rem/1.6 system-ui,sans-serif;display:grid;grid-template-columns:15rem minmax(0,1fr)}
nav{padding:1.5rem 1rem;border-right:1px solid var(--line);font-size:.9rem}
nav ul{list-style:none;margin:0 0 1rem;padding:0}
nav p{margin:1rem 0 .2rem;font-weight:600}
nav [aria-current]{font-weight:700}
main{padding:1.5rem 2rem;max-width:56rem}
a{color:var(--link)}
h2{margin-top:2.2rem;border-bottom:1px solid var(--line)}
pre{overflow-x:auto;padding:.8rem 1rem;background:var(--soft);border-radius:.4rem;line-height:1.4}
code{font-size:.9em}
:not(pre)>code{background:var(--soft);padding:.1em .3em;border-radius:.2em}
table{border-collapse:collapse;display:block;overflow-x:auto}
th,td{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
.anchor{visibility:hidden;text-decoration:none;padding-left:.3em}
:is(h1,h2,h3,h4):hover .anchor,.anchor:focus{visibility:visible}
@media(max-width:50rem){body{display:block}nav{border-right:0;border-bottom:1px solid var(--line)}main{padding:1rem}}
@media print{nav{display:none}body{display:block}}
""".replace("\n", "")


@dataclass
class Page:
    """A document, read."""

    source: str
    tokens: list[Token]
    title: str = ""
    anchors: set[str] = field(default_factory=set)

    @property
    def place(self) -> str:
        """Where it lies in the site."""
        path = PurePosixPath(self.source)
        path = path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html")
        return path.as_posix().removeprefix("docs/")


def slug(text: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def reader() -> MarkdownIt:
    """CommonMark and tables; markup of a document's own stays text."""
    return MarkdownIt("commonmark", {"html": True}).enable("table")


def read(source: str) -> Page:
    """A document with its title and its anchors."""
    page = Page(source, reader().parse((ROOT / source).read_text(encoding="utf-8")))
    for at, token in enumerate(page.tokens):
        if token.type == "heading_open":
            words = "".join(each.content for each in page.tokens[at + 1].children or () if each.type in {"text", "code_inline"})
            page.title = page.title or words
            anchor, number = slug(words), 1
            while anchor in page.anchors:
                anchor, number = f"{slug(words)}-{number}", number + 1
            page.anchors.add(anchor)
            token.attrSet("id", anchor)
    return page


def listed() -> list[str]:
    """Every page: those of the navigation, and those of the breaks."""
    rules = sorted(each.relative_to(ROOT).as_posix() for each in (ROOT / "docs" / "rules").rglob("*.md") if each.name != "README.md")
    return [*(source for _, sources in NAVIGATION for source in sources if (ROOT / source).is_file()), *rules]


class Site:
    """All pages, and what is wrong with them."""

    def __init__(self, sources: Sequence[str]) -> None:
        """Read them."""
        self.pages = {source: read(source) for source in sources}
        self.faults: list[str] = []
        self.copied: set[str] = set()

    def render(self, page: Page) -> str:
        """The page whole."""
        for link in self._links(page.tokens):
            kind = "src" if link.type == "image" else "href"
            target = self._target(page, str(link.attrGet(kind)))
            link.attrSet(kind, target)
        tokens = [each for each in page.tokens if not (each.type == "html_block" and each.content.lstrip().startswith("<!--"))]
        for each in tokens:
            if each.type in {"html_block", "html_inline"} or any(child.type == "html_inline" for child in each.children or ()):
                self.faults.append(f"{page.source}: markup of its own: {each.content[:60]!r}")
        body = reader().renderer.render(tokens, reader().options, {})
        body = re.sub(r'(<h([1-4]) id="([^"]+)">)(.*?)</h\2>', r'\1\4<a class="anchor" href="#\3" aria-label="link to this part">#</a></h\2>', body, flags=re.DOTALL)
        title = html.escape(page.title or page.source)
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
        head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        return f'<!doctype html>\n<html lang="en"><head>{head}<title>{title} · toughen</title><style>{_STYLE}</style></head>\n<body>{self._navigation(page)}\n<main>\n{body}</main></body></html>\n'

    def _navigation(self, page: Page) -> str:
        parts: list[str] = []
        for title, sources in NAVIGATION:
            entries = "".join(self._entry(page, self.pages[source]) for source in sources if source in self.pages)
            parts.append((f"<p>{title}</p>" if title else "") + f"<ul>{entries}</ul>")
        return f'<nav aria-label="Documents">{"".join(parts)}</nav>'

    def _entry(self, page: Page, other: Page) -> str:
        current = ' aria-current="page"' if page is other else ""
        return f'<li><a href="{self._between(page, other.place)}"{current}>{html.escape(other.title)}</a></li>'

    @staticmethod
    def _links(tokens: list[Token]) -> Iterator[Token]:
        for token in tokens:
            yield from (each for each in token.children or () if each.type in {"link_open", "image"})

    @staticmethod
    def _between(page: Page, place: str) -> str:
        return os.path.relpath(place, PurePosixPath(page.place).parent.as_posix() or ".")

    def _target(self, page: Page, written: str) -> str:
        """A link as the site has it; a fault where it leads nowhere."""
        if re.match(r"[a-z]+:", written):
            return written
        path, _, anchor = written.partition("#")
        source = os.path.normpath(PurePosixPath(page.source).parent / path).replace(os.sep, "/") if path else page.source
        if (ROOT / source).is_dir() and f"{source}/README.md" in self.pages:
            source = f"{source}/README.md"
        other = self.pages.get(source)
        if other is None:
            if not (ROOT / source).is_file() or source.startswith("..") or anchor:
                self.faults.append(f"{page.source}: {written} leads nowhere")
                return written
            self.copied.add(source)
            return self._between(page, f"files/{source}")
        if anchor and anchor not in other.anchors:
            self.faults.append(f"{page.source}: {written}: {source} has no such part")
        return (self._between(page, other.place) if other is not page else "") + (f"#{anchor}" if anchor else "")


def build(folder: Path) -> list[str]:
    """Write the site; what is wrong with it, and then nothing is written."""
    site = Site(listed())
    made = {page.place: site.render(page) for page in site.pages.values()}
    stray = [each.relative_to(ROOT).as_posix() for each in (ROOT / "docs").rglob("*.md") if each.relative_to(ROOT).as_posix() not in site.pages]
    faults = [*site.faults, *(f"{each} is in no navigation" for each in stray)]
    if faults:
        return faults
    if folder.exists() and any(folder.iterdir()) and not (folder / "index.html").is_file():
        return [f"{folder} holds something else than a site"]
    shutil.rmtree(folder, ignore_errors=True)
    for place, text in made.items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    for source in site.copied:
        (folder / "files" / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, folder / "files" / source)
    return []


def main() -> int:
    """Build into the folder that is named."""
    folder = Path(sys.argv[1])
    faults = build(folder)
    for each in faults:
        print(f"error: {each}", file=sys.stderr)
    if not faults:
        print(f"{len(listed())} pages in {folder}: open {folder / 'index.html'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
