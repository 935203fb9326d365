"""Where the requests of a route enter: which model declares a field, where a handler reads it, and what each word makes of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.boundary import Boundary, Sheet, boundary
from toughen.codemod import Bounds, Field, UnmendableError
from toughen.model.patch import Patch, Unmended
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    At = Callable[[dict[str, str], str], Boundary]

SHOP = {
    "schemas.py": """from typing import List, Optional
from pydantic import BaseModel


class Line(BaseModel):
    product_id: int
    quantity: int


class Order(BaseModel):
    note: Optional[str] = None
    lines: List[Line]
""",
    "main.py": """import sqlite3
from fastapi import FastAPI
import schemas

app = FastAPI()
conn = sqlite3.connect("shop.db")


@app.post("/orders")
def order(data: schemas.Order, rush: int = 0):
    return {"lines": len(data.lines), "rush": rush}
""",
}
NOTES = {
    "app.py": """from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/notes/<int:note_id>", methods=["PUT"])
def change(note_id):
    data = request.get_json()
    size = int(data.get("size", 1))
    title = data["title"]
    return jsonify({"id": note_id, "size": size, "title": title})


@app.post("/orders")
def order():
    amount = float(request.form["amount"])
    return jsonify({"amount": amount})
""",
}


@pytest.fixture
def at(tmp_path: Path) -> At:
    """Survey a project for real and take the boundary of one of its routes."""

    def take(files: dict[str, str], route: str) -> Boundary:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        sources = read(tmp_path)
        made = boundary(route, survey(sources), sources.texts)
        assert isinstance(made, Boundary), made
        return made

    return take


def text(edge: Boundary, file: str) -> str:
    """A file as the sheet holds it now."""
    return edge.sheet.module(file).text


def test_a_field_is_found_in_the_model_that_declares_it(at: At) -> None:
    """The path into a list of a model in another file ends at that file's own class."""
    edge = at(SHOP, "POST /orders")
    assert edge.home(("lines", 0, "quantity")) == ("schemas.py", "Line", "quantity")
    assert edge.home(("note",)) == ("schemas.py", "Order", "note")
    assert edge.home(("",)) == ("schemas.py", "Order", "")
    assert edge.home(("lines", 0, "quantity", "deeper")) is None
    assert edge.home(()) is None


def test_a_typed_field_is_bounded_where_it_is_declared(at: At) -> None:
    """Only the field's own line and an import change, in the file of the model and not in the handler's."""
    edge = at(SHOP, "POST /orders")
    assert edge.tighten(("lines", 0, "quantity"), Bounds(gt=0)) == ""
    assert "quantity: int = Field(gt=0)" in text(edge, "schemas.py")
    assert "product_id: int\n" in text(edge, "schemas.py")
    made = edge.sheet.patch("id", "Refuse a quantity of 0 or less")
    assert isinstance(made, Patch)
    assert [each.file for each in made.changes] == ["schemas.py"]
    assert made.changes[0].before == SHOP["schemas.py"]


def test_later_words_see_what_earlier_ones_wrote(at: At) -> None:
    """Two bounds in turn on one sheet stand in one text; the sources stay as they were."""
    edge = at(SHOP, "POST /orders")
    assert edge.tighten(("lines", 0, "quantity"), Bounds(gt=0)) == ""
    assert edge.tighten(("lines", 0, "product_id"), Bounds(le=edge.largest)) == ""
    assert text(edge, "schemas.py").count("Field(") == 2
    assert edge.sheet.sources["schemas.py"] == SHOP["schemas.py"]


def test_nothing_changed_is_no_patch(at: At) -> None:
    """A sheet on which no word wrote says so instead of giving an empty patch."""
    made = at(SHOP, "POST /orders").sheet.patch("id", "Do nothing")
    assert isinstance(made, Unmended)
    assert "already" in made.reason


def test_a_null_is_refused_where_the_field_may_stay_absent(at: At) -> None:
    """`Optional[str] = None` gets a validator's refusal of null, and the reason of a field without a model is told."""
    edge = at(SHOP, "POST /orders")
    assert edge.refuse_null(("note",)) == ""
    assert text(edge, "schemas.py") != SHOP["schemas.py"]
    assert edge.refuse_null(("unknown", "field")) == "no model declares the field"


def test_a_query_parameter_is_bounded_in_the_signature(at: At) -> None:
    """`rush: int = 0` becomes a bounded Query with the same default."""
    edge = at(SHOP, "POST /orders")
    assert edge.parameter("rush", Bounds(le=9)) == ""
    assert "rush: int = Query(0, le=9)" in text(edge, "main.py")


@pytest.mark.parametrize("declared", ["form: OAuth2PasswordRequestForm = Depends()", "form: Annotated[OAuth2PasswordRequestForm, Depends()]"])
def test_a_field_of_fastapi_s_own_form_is_tested_in_the_handler(at: At, declared: str) -> None:
    """Its declaration is not the project's: the handler refuses what the field may not be."""
    source = f"""from typing import Annotated
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordRequestForm

app = FastAPI()


@app.post("/token")
def token({declared}):
    return {{"name": form.username}}
"""
    edge = at({"main.py": source}, "POST /token")
    assert edge.attribute(("username",), Bounds(nul=False)) == ""
    assert 'if "\\0" in form.username' in text(edge, "main.py").replace("'", '"').replace("\\x00", "\\0")


def test_the_largest_integer_is_the_database_s(at: At) -> None:
    """SQLite takes 64 bits, PostgreSQL's INTEGER 32."""
    assert at(SHOP, "POST /orders").whole() == Bounds(ge=-(2**63), le=2**63 - 1)
    other = {**SHOP, "main.py": SHOP["main.py"].replace("import sqlite3\n", "import psycopg2\n").replace('sqlite3.connect("shop.db")', 'psycopg2.connect("postgresql://localhost/shop")')}
    assert at(other, "POST /orders").whole() == Bounds(ge=-(2**31), le=2**31 - 1)


def test_reads_are_found_by_key(at: At) -> None:
    """The statement that reads a field of the body, with `casts` only where it goes through int or float."""
    edge = at(NOTES, "PUT /notes/{note_id}")
    size, title = edge.read("size"), edge.read("title")
    assert (size and size.lineno, title and title.lineno) == (9, 10)
    assert edge.read("size", casts=True) is not None
    assert edge.read("title", casts=True) is None
    assert edge.read("absent") is None


def test_a_cast_is_answered(at: At) -> None:
    """int() of a text is answered 400 in the file's style; a field that is cast nowhere is told."""
    edge = at(NOTES, "PUT /notes/{note_id}")
    assert edge.cast("size") == ""
    assert "except (" in text(edge, "app.py")
    assert "size must be a number" in text(edge, "app.py")
    assert edge.cast("title") == "change casts title nowhere"


def test_a_number_is_limited_behind_its_assignment(at: At) -> None:
    """`amount = float(...)` is followed by its bound; what is assigned nowhere is told."""
    edge = at(NOTES, "POST /orders")
    assert edge.limit("amount", Bounds(gt=0)) == ""
    lines = text(edge, "app.py").splitlines()
    after = lines[next(number for number, line in enumerate(lines) if "float(" in line) + 1]
    assert after.strip().startswith("if ")
    assert edge.limit("absent", Bounds(gt=0)) == "order assigns absent to no variable"


def test_an_integer_of_the_path_is_bounded_in_its_converter(at: At) -> None:
    """The narrowest place comes first: nothing of the handler's body changes."""
    edge = at(NOTES, "PUT /notes/{note_id}")
    assert edge.segment("note_id") == ""
    assert text(edge, "app.py") == NOTES["app.py"].replace("<int:note_id>", f"<int(max={2**63 - 1}):note_id>")


def test_an_untyped_body_is_tested(at: At) -> None:
    """The body must be an object and its field a text; a model is refused where nothing brings pydantic."""
    edge = at(NOTES, "PUT /notes/{note_id}")
    assert edge.check([Field("title", "string")]) == ""
    assert "isinstance(data, dict)" in text(edge, "app.py")
    assert 'isinstance(data["title"], str)' in text(edge, "app.py")
    assert edge.typed_body([Field("title", "string")]) == "the project has no pydantic"


def test_too_large_numbers_are_answered_for_the_whole_application(at: At) -> None:
    """One error handler for OverflowError, and no second one."""
    edge = at(NOTES, "POST /orders")
    assert edge.overflow() == ""
    assert "@app.errorhandler(OverflowError)" in text(edge, "app.py")
    assert edge.overflow() != ""


def test_a_line_that_moved_is_found_by_its_text(at: At) -> None:
    """The nearest line that reads so; where none does, where it stood."""
    edge = at(NOTES, "PUT /notes/{note_id}")
    assert edge.line_of("app.py", 'title = data["title"]', 3) == 10
    assert edge.line_of("app.py", "gone = 1", 3) == 3
    assert edge.line_of("app.py", "", 7) == 7


def test_a_handler_elsewhere_has_no_boundary(tmp_path: Path) -> None:
    """A route that the project does not define is refused with a brief, and a file that it does not have raises."""
    (tmp_path / "app.py").write_text(NOTES["app.py"])
    sources = read(tmp_path)
    made = boundary("GET /docs", survey(sources), sources.texts)
    assert isinstance(made, Unmended)
    assert "not in the project's own source" in made.reason
    assert made.brief
    with pytest.raises(UnmendableError, match="not a file of the project"):
        Sheet({}).module("app.py")
