"""The site of the documents: every page, every link, and nothing that needs a network."""

from __future__ import annotations

import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("docs_site", HERE / "tools/docs_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_site"] = module
    spec.loader.exec_module(module)
    return module


class Links(HTMLParser):
    """Anchors and links of a page, and what else it would load."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found["id"] or ""} if "id" in found else set()
        if tag == "a":
            self.links.append(found.get("href") or "")
        elif tag in {"script", "iframe", "object", "embed", "form"} or "src" in found or (tag == "link" and "href" in found):
            self.loads.append(tag)


def test_every_page_is_there_and_every_link_leads_somewhere(site: ModuleType, tmp_path: Path) -> None:
    """All documents are pages; each link ends at a file and, where it names one, at a part of it; nothing is loaded from elsewhere."""
    assert site.build(tmp_path / "site") == []
    pages = {}
    for file in (tmp_path / "site").rglob("*.html"):
        pages[file] = Links()
        text = file.read_text(encoding="utf-8")
        pages[file].feed(text)
        assert "default-src 'none'" in text
        assert not pages[file].loads, (file, pages[file].loads)
        assert not re.search(r"url\(|@import|&lt;!--", text.replace("&lt;!-- toughen --&gt;", "")), file
    assert len(pages) == len(site.listed())
    assert {each.relative_to(HERE / "docs").with_suffix(".html").as_posix() for each in (HERE / "docs").rglob("*.md") if each.name != "README.md"} <= {
        each.relative_to(tmp_path / "site").as_posix() for each in pages
    }
    for file, found in pages.items():
        for link in found.links:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (file.parent / path).resolve() if path else file
            assert target.is_file(), (file, link)
            assert not anchor or anchor in pages[target].anchors, (file, link)


def test_a_link_that_leads_nowhere_is_told(site: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing page, a missing part and a page that no navigation names stop the build, and nothing is written."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# A\n\n[gone](docs/gone.md) [part](docs/usage.md#no-part) [there](docs/usage.md#b) [out](../x)\n<b>x</b>\n")
    (tmp_path / "docs/usage.md").write_text("# B\n\n<!-- a comment -->\n")
    (tmp_path / "docs/stray.md").write_text("# C\n")
    monkeypatch.setattr(site, "ROOT", tmp_path)
    faults = site.build(tmp_path / "site")
    assert [each.partition(": ")[2] or each for each in faults] == [
        "docs/gone.md leads nowhere", "docs/usage.md#no-part: docs/usage.md has no such part", "../x leads nowhere", "markup of its own: '[gone](docs/gone.md) [part](docs/usage.md#no-part) [there](d'", "docs/stray.md is in no navigation",
    ]  # fmt: skip
    assert not (tmp_path / "site").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").touch()
    (tmp_path / "README.md").write_text("# A\n")
    (tmp_path / "docs/stray.md").unlink()
    assert site.build(tmp_path / "other") == [f"{tmp_path / 'other'} holds something else than a site"]
