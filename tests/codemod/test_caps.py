"""Caps: each word on the shapes that it knows, and its refusals."""

from __future__ import annotations

import ast

import pytest

from toughen.codemod import Draft, Module
from toughen.codemod.bounds import Bounds, bound_parameter
from toughen.codemod.caps import application, bounded, capped, number_read, short, sizes, suffixed, unpacked
from toughen.model.blueprint import Blueprint, Entry
from toughen.model.patch import Unmended

FLASK = """from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/files")
def upload():
    picture = request.files["picture"]
    if not picture:
        return jsonify({"error": "picture is required"}), 400
    picture.save("x")
    return "", 201
"""
FASTAPI = """from fastapi import FastAPI, HTTPException, UploadFile
app = FastAPI()

@app.post("/files")
async def upload(file: UploadFile):
    if not file.filename:
        raise HTTPException(status_code=400, detail="A name is required")
    return {"ok": True}
"""
ZIP = """import zipfile
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/bundles")
def upload():
    with zipfile.ZipFile(request.files["bundle"]) as bundle:
        bundle.extractall("x")
    return jsonify({"ok": True})
"""


def done(draft: Draft | Unmended) -> str:
    """The text that a word makes."""
    assert isinstance(draft, Draft), draft
    text = draft.done()
    ast.parse(text)
    return text


def made(module: Module) -> ast.Assign:
    """The statement that makes the application."""
    return next(each for each in module.tree.body if isinstance(each, ast.Assign))


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ('int(request.args.get("per_page", 20))', True), ('request.args.get("per_page", 20, type=int)', True), ('request.args.get("per_page", default=20, type=int)', True),
        ('int(request.args["per_page"])', True), ('request.args.get("per_page", type=int)', False), ('request.args.get("per_page")', False), ('int(request.args.get("page", 1))', False),
    ],
)
def test_a_number_is_capped_where_it_is_always_one(read: str, found: bool) -> None:  # noqa: FBT001 - a table
    """What may be None is left to a test of its own."""
    module = Module("app.py", f"def listing():\n    size = {read}\n    return size\n")
    node = number_read(module.function("listing"), "per_page")
    assert (node is not None) is found
    if node is not None:
        text = done(capped(module, node, 100))
        assert f"size = min({read}, 100)" in text
        again = Module("app.py", text)
        inner = number_read(again.function("listing"), "per_page")
        assert inner is not None
        assert isinstance(capped(again, inner, 100), Unmended)
        assert f"size = min(max({read}, 0), 100)" in done(capped(module, node, 100, floor=True))
        assert f"size = min(max({read}, 0), 100)" in done(capped(again, inner, 100, floor=True))


def test_a_list_is_kept_short_behind_what_reads_it() -> None:
    """What is no list is left to the test that asks for one; twice is refused."""
    module = Module("app.py", FLASK.replace('picture = request.files["picture"]', 'tags = request.get_json()["tags"]').replace("not picture", "not isinstance(tags, list)").replace('picture.save("x")', "store(tags)"))
    text = done(short(module, 6, "tags", 50, "too many tags"))
    assert '    if isinstance(tags, list) and len(tags) > 50:\n        return jsonify({"error": "too many tags"}), 400\n    if not isinstance(tags, list):' in text
    assert isinstance(short(Module("app.py", text), 6, "tags", 50, "too many tags"), Unmended)


def test_what_limits_a_query_is_known() -> None:
    """`.limit(n)` and `paginate(per_page=n)`; constants are none."""
    module = Module("app.py", "def listing():\n    a = query.limit(size).all()\n    b = query.limit(20)\n    return query.paginate(page=1, per_page=wanted)\n")
    assert [ast.unparse(each) for each in sizes(module.function("listing"))] == ["size", "wanted"]


def test_flask_bounds_bodies_by_its_setting_or_by_asking() -> None:
    """The setting follows the application; where it bounds forms only, every request is asked."""
    module = Module("app.py", FLASK)
    text = done(bounded(module, made(module), "1024 * 1024", flask=True))
    assert 'app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024' in text
    again = Module("app.py", text)
    assert isinstance(bounded(again, made(again), "1024 * 1024", flask=True), Unmended)
    asked = done(bounded(module, made(module), "1024 * 1024", flask=True, asked=True))
    assert "@app.before_request" in asked
    assert "from flask import Flask, jsonify, request, abort" in asked


def test_fastapi_bounds_bodies_by_a_middleware() -> None:
    """Its class follows the imports, and the application takes it."""
    module = Module("app.py", FASTAPI)
    text = done(bounded(module, made(module), "1024 * 1024", flask=False))
    assert text.index("class BodyLimit") < text.index("app = FastAPI()") < text.index("app.add_middleware(BodyLimit, most=1024 * 1024)")


def test_the_ending_of_a_name_is_asked() -> None:
    """In the file's own words, behind what reads the file or at the start of the handler."""
    flask = Module("app.py", FLASK)
    text = done(suffixed(flask, flask.function("upload"), "picture", (".png", ".jpg")))
    assert '    if not (picture.filename or "").lower().endswith((".png", ".jpg")):\n        return jsonify({"error": "This kind of file is not allowed"}), 400\n' in text
    again = Module("app.py", text)
    assert isinstance(suffixed(again, again.function("upload"), "picture", (".png", ".jpg")), Unmended)
    fastapi = Module("app.py", FASTAPI)
    assert 'if file is not None and not (file.filename or "").lower().endswith((".csv",)):' in done(suffixed(fastapi, fastapi.function("upload"), "file", (".csv",)))
    assert isinstance(suffixed(flask, flask.function("upload"), "other", (".png",)), Unmended)


def test_what_an_archive_holds_is_added_up_first() -> None:
    """In front of what reads it; twice is refused, and so is a function that opens none."""
    module = Module("app.py", ZIP)
    text = done(unpacked(module, module.function("upload"), "5"))
    assert text.index("sum(member.file_size for member in bundle.infolist()) > 5") < text.index("bundle.extractall")
    again = Module("app.py", text)
    assert isinstance(unpacked(again, again.function("upload"), "5"), Unmended)
    flask = Module("app.py", FLASK)
    assert isinstance(unpacked(flask, flask.function("upload"), "5"), Unmended)


def test_the_application_is_sought_in_the_entry_first() -> None:
    """Several files may make one; of connexion's the Flask application inside is meant."""
    sources = {"a.py": "from flask import Flask\napp = Flask(__name__)\n", "config.py": "import connexion\nserved = connexion.App(__name__)\n"}
    found = application(Blueprint("p", "connexion", Entry("config:served", "config.py", "", "connexion")), sources)
    assert found is not None
    assert found[0].file == "config.py"
    assert 'served.app.config["MAX_CONTENT_LENGTH"] = 5' in done(bounded(found[0], found[1], "5", flask=True))


@pytest.mark.parametrize(
    ("there", "then"),
    [("Query(20, ge=-(2**63), le=2**63 - 1)", "Query(20, ge=0, le=100)"), ("Query(20, le=50)", "Query(20, le=50, ge=0)"), ("Query(20, le=MOST)", "Query(20, le=MOST, ge=0)")],
)
def test_a_bound_that_lets_more_through_is_drawn_in(there: str, then: str) -> None:
    """Of a bound that is there the tighter end stands afterwards; one that is no number is left alone."""
    source = "from fastapi import FastAPI, Query\napp = FastAPI()\nMOST = 9\n@app.get('/p')\ndef page(limit: int = {}):\n    return limit\n"
    draft = bound_parameter(Module("main.py", source.format(there)), "page", "limit", Bounds(ge=0, le=100))
    assert isinstance(draft, Draft)
    assert draft.done() == source.format(then)
