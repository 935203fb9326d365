"""The files that an honest client uploads are what their names say."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
import zipfile

import pytest

from toughen.lab import uploads


@pytest.mark.parametrize(
    ("name", "kind", "starts"),
    [
        ("picture.png", "image/png", b"\x89PNG\r\n"), ("a.JPG", "image/jpeg", b"\xff\xd8\xff"), ("a.gif", "image/gif", b"GIF89a"),
        ("a.pdf", "application/pdf", b"%PDF-"), ("a.wav", "audio/wav", b"RIFF"), ("a.zip", "application/zip", b"PK"),
        ("notes.txt", "text/plain", b"toughen"), ("notes.md", "text/markdown", b"# "), ("rows.csv", "text/csv", b"id,"),
        ("page.htm", "text/html", b"<!doctype html>"), ("x.yml", "application/yaml", b"name:"), ("no-extension", "image/png", b"\x89PNG"),
    ],
)  # fmt: skip
def test_a_name_says_the_content(name: str, kind: str, starts: bytes) -> None:
    """Type and first bytes fit the extension, in any case; what says nothing is a picture."""
    told, content = uploads.content(name)
    assert told == kind
    assert content.startswith(starts)


def test_what_has_a_syntax_can_be_read() -> None:
    """JSON, XML, SVG and an archive are well-formed, and the archive is the same every time."""
    assert json.loads(uploads.content("a.json")[1]) == {"name": "toughen"}
    assert ET.fromstring(uploads.content("a.xml")[1]).tag == "toughen"  # noqa: S314 - our own
    assert ET.fromstring(uploads.content("a.svg")[1]).tag.endswith("svg")  # noqa: S314 - our own
    archive = uploads.content("a.zip")[1]
    assert zipfile.ZipFile(io.BytesIO(archive)).read("toughen.txt") == b"toughen\n"
    assert archive == uploads.content("b.zip")[1]
