"""Values that are made large only when they are sent."""

from __future__ import annotations

import base64
import io
import json
import zipfile

from toughen.lab.requests import Resolver, assemble
from toughen.lab.uploads import sent
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Copies, Extract, Literal, Long
from toughen.model.trace import Exchange, Response

ANSWERED = [Exchange("POST", "/items", "", Response(201, json={"id": 7}, is_json=True))]


def body(*arguments: Argument) -> dict[str, object]:
    """The JSON body of a call."""
    request = assemble(Call("POST /orders", arguments), Resolver(lambda _: []), ANSWERED, None)
    held = json.loads(base64.b64decode(request["body_b64"]))
    assert isinstance(held, dict)
    return held


def test_a_long_text_begins_as_the_honest_one_and_does_not_compress() -> None:
    """So many characters, whose beginning is kept, and that a database's compression makes no fewer."""
    import zlib

    text = body(Argument(Place.JSON, ("note",), Long("hello", 3_000)))["note"]
    assert isinstance(text, str)
    assert len(text) == 3_000
    assert text.startswith("hello")
    assert len(zlib.compress(text.encode())) > 2_000


def test_a_list_of_copies_holds_values_of_earlier_answers() -> None:
    """Each element is made of the same leaves; numbered ones have texts of their own."""
    parts = ((("id",), Extract(0, ("id",))), (("name",), Literal("tea")))
    assert body(Argument(Place.JSON, ("items",), Copies(3, parts)))["items"] == [{"id": 7, "name": "tea"}] * 3
    assert body(Argument(Place.JSON, ("items",), Copies(2, parts, numbered=True)))["items"] == [{"id": 7, "name": "tea0"}, {"id": 7, "name": "tea1"}]
    assert body(Argument(Place.JSON, ("tags",), Copies(2, (((), Literal("a")),))))["tags"] == ["a", "a"]


def test_a_described_file_has_the_size_and_the_kind_that_are_said() -> None:
    """A picture stays one at its beginning, a text at its lines; a name and a content type may say otherwise."""
    assert sent("note.txt")[:2] == ("note.txt", "text/plain")
    name, kind, data = sent({"name": "a.png", "size": 100_000})
    assert (name, kind, len(data), data[:4]) == ("a.png", "image/png", 100_000, b"\x89PNG")
    assert len(sent({"name": "a.csv", "size": 50_000})[2]) == 50_000
    assert sent({"name": "a.html", "type": "image/png", "like": "b.png"})[:2] == ("a.html", "image/png")
    assert sent({"name": "a.html", "like": "b.png"})[2].startswith(b"\x89PNG")


def test_an_archive_may_be_small_and_hold_much() -> None:
    """A thousandth of what it unpacks to; or as large as what it holds."""
    bomb = sent({"name": "a.zip", "unpacked": 1_000_000})[2]
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        assert sum(each.file_size for each in archive.infolist()) >= 1_000_000
    assert len(bomb) < 10_000
    large = sent({"name": "a.zip", "size": 200_000})[2]
    assert len(large) >= 200_000
    with zipfile.ZipFile(io.BytesIO(large)) as archive:
        assert archive.testzip() is None
