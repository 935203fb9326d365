"""Owns the files that an honest client uploads: small, and well-formed for the extension of their name."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toughen.model.blueprint import Json

DEFAULT = "picture.png"
"""What is uploaded where nothing says what is wanted."""
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_JPEG = (
    "/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/"
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AN//Z"
)
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
_WAV = b"RIFF\x26\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x00\x00"
_TEXT = {
    "txt": ("text/plain", "toughen\n"),
    "md": ("text/markdown", "# toughen\n\nA line of text.\n"),
    "csv": ("text/csv", "id,name,value\n1,toughen,2\n"),
    "json": ("application/json", '{"name": "toughen"}\n'),
    "html": ("text/html", "<!doctype html><title>toughen</title><p>A line of text.\n"),
    "xml": ("application/xml", "<toughen/>\n"),
    "yaml": ("application/yaml", "name: toughen\n"),
    "svg": ("image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n'),
}
_PLAIN = {"text/plain", "text/markdown", "text/csv", "application/json", "text/html", "application/xml", "application/yaml"}
"""What stays well-formed where its last character, a newline, is repeated."""
_ALIASES = {"jpg": "jpeg", "htm": "html", "yml": "yaml", "text": "txt", "log": "txt", "markdown": "md"}


def content(name: str) -> tuple[str, bytes]:
    """(content type, bytes) of a file of that name; a picture where its extension says nothing."""
    extension = name.rpartition(".")[2].lower()
    extension = _ALIASES.get(extension, extension)
    if extension in _TEXT:
        kind, text = _TEXT[extension]
        return kind, text.encode()
    match extension:
        case "jpeg":
            return "image/jpeg", base64.b64decode(_JPEG)
        case "gif":
            return "image/gif", base64.b64decode(_GIF)
        case "pdf":
            return "application/pdf", _PDF
        case "wav":
            return "audio/wav", _WAV
        case "zip":
            return "application/zip", _zip()
    return "image/png", base64.b64decode(_PNG)


def sent(wanted: Json) -> tuple[str, str, bytes]:
    """(name, content type, bytes) of a file as an Argument names or describes it."""
    said = wanted if isinstance(wanted, dict) else {"name": wanted}
    name, newline, text = str(said.get("name") or DEFAULT).partition("\n")
    name, _, declared = name.partition("\t")
    kind, data = content(str(said.get("like") or name))
    kind, data = declared or kind, text.encode() if newline else data
    if unpacked := _number(said.get("unpacked")):
        data = _zip("toughen\n" * (unpacked // 8 + 1))
    if size := _number(said.get("size")):
        # Readers of pictures and documents stop at their own end; an archive's end is at its end.
        data = _zip("", b"\n" * size) if data[:2] == b"PK" else data + data[-1:] * (size - len(data)) if kind in _PLAIN else data + b"\0" * (size - len(data))
    return name, str(said.get("type") or kind), data


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _zip(text: str = "toughen\n", stored: bytes = b"") -> bytes:
    """An archive of one text, deflated, or of one that is as large as the archive."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(zipfile.ZipInfo("toughen.txt"), stored or text, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    return held.getvalue()
