"""Claims about bounds: requests are bounded, answers are not, and 422 can be written as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Bounds, Module, bound, bound_parameter, finite, limit

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = """
from typing import Annotated, List, Optional
from pydantic import BaseModel

class ItemBase(BaseModel):
    name: str
    price: float

class ItemCreate(ItemBase):
    pass

class ItemResponse(ItemBase):
    id: int

class Line(BaseModel):
    quantity: int
    tags: List[int] = []

class LineOut(Line):
    id: int

class Change(BaseModel):
    price: Optional[float] = None
"""


def test_the_base_stays_and_the_request_is_bounded(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """A field of a shared base is bounded in the request's model only: an old row can still be answered."""
    names = run(mended(SCHEMAS, lambda m: bound(m, "ItemCreate", "price", Bounds(gt=0, allow_inf_nan=False))))
    for price in (-1, float("nan")):
        with pytest.raises(ValueError, match="price"):
            names["ItemCreate"](name="a", price=price)
    assert names["ItemCreate"](name="a", price=1).price == 1
    assert names["ItemResponse"](id=1, name="a", price=-1).price == -1


def test_answers_that_inherit_are_relaxed(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """A response that inherits the request's model declares the field again without bounds."""
    names = run(mended(SCHEMAS, lambda m: bound(m, "Line", "quantity", Bounds(gt=0, le=100))))
    with pytest.raises(ValueError, match="quantity"):
        names["Line"](quantity=0)
    assert names["LineOut"](id=1, quantity=-5).quantity == -5


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [
        ("x: int", "x: int = Field(gt=0)"),
        ("x: int = 1", "x: int = Field(1, gt=0)"),
        ("x: Optional[int] = None", "x: Optional[int] = Field(None, gt=0)"),
        ("x: int = Field(..., description='d')", "x: int = Field(..., description='d', gt=0)"),
        ("x: Annotated[int, Field(le=9)]", "x: Annotated[int, Field(le=9, gt=0)]"),
        ("x: conint(le=9)", "x: conint(le=9, gt=0)"),
    ],
)
def test_each_declaration_keeps_its_form(mended: Callable[..., Any], declared: str, wanted: str) -> None:
    """Bounds go where the declaration already says what it says."""
    source = f"from pydantic import BaseModel, Field, conint\n\nclass A(BaseModel):\n    {declared}\n"
    assert f"    {wanted}\n" in mended(source, lambda m: bound(m, "A", "x", Bounds(gt=0)))


def test_bounds_that_are_there_or_belong_to_an_answer_are_refused(refused: Callable[..., Any]) -> None:
    """An end that is bounded, a collection, an unknown field and a response model are refused."""
    source = "from pydantic import BaseModel, Field\nclass A(BaseModel):\n    x: int = Field(ge=0)\n"
    assert "there already" in refused(source, lambda m: bound(m, "A", "x", Bounds(gt=0)))
    assert "collection" in refused(SCHEMAS, lambda m: bound(m, "Line", "tags", Bounds(gt=0)))
    assert "declares no field" in refused(SCHEMAS, lambda m: bound(m, "Line", "nope", Bounds(gt=0)))
    routes = Module("r.py", "@app.get('/', response_model=List[schemas.Line])\ndef f(): ...\n")
    reason = refused(SCHEMAS, lambda m: bound(m, "Line", "quantity", Bounds(gt=0), project=[routes]))
    assert "model of an answer" in reason


API = """
from fastapi import FastAPI, Depends
from pydantic import BaseModel, Field

app = FastAPI()

class Price(BaseModel):
    value: float = Field(gt=0, allow_inf_nan=False)

@app.get('/items/{item_id}')
def item(item_id: int, limit: int = 10, user=Depends(lambda: 1)):
    return [item_id, limit]

@app.post('/price')
def price(body: Price):
    return body
"""


def test_parameters_of_the_signature_are_bounded(
    mended: Callable[..., Any], run: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    """FastAPI refuses a huge limit and a huge id, and answers honest ones as before."""
    text = mended(API, lambda m: bound_parameter(m, "item", "limit", Bounds(ge=0, le=100)))
    text = mended(text, lambda m: bound_parameter(m, "item", "item_id", Bounds(ge=1, le=2**63 - 1)))
    app = run(text)["app"]
    assert ask(app, "GET", "/items/3?limit=5").json() == [3, 5]
    assert ask(app, "GET", "/items/3").json() == [3, 10]
    assert ask(app, "GET", f"/items/{10**30}").status_code == 422
    assert ask(app, "GET", f"/items/3?limit={10**30}").status_code == 422


def test_annotated_is_used_where_a_default_may_not_stand(mended: Callable[..., Any]) -> None:
    """A path parameter in front of one without default is annotated."""
    source = (
        "from fastapi import FastAPI\napp = FastAPI()\n@app.put('/a/{i}')\ndef a(i: int, body: dict):\n    return i\n"
    )
    text = mended(source, lambda m: bound_parameter(m, "a", "i", Bounds(ge=1)))
    assert "def a(i: Annotated[int, Path(ge=1)], body: dict):" in text


def test_nan_is_answered_422(mended: Callable[..., Any], run: Callable[..., Any], ask: Callable[..., Any]) -> None:
    """FastAPI's own 422 dies of NaN in its own text; with the handler it is a 422 of the same form."""

    def send(text: str, content: str) -> Any:
        return ask(run(text)["app"], "POST", "/price", content=content, headers={"content-type": "application/json"})

    text = mended(API, finite)
    assert send(API, '{"value": NaN}').status_code == 500
    assert send(text, '{"value": NaN}').status_code == 422
    assert send(text, '{"value": -1}').json() == send(API, '{"value": -1}').json()


def test_flask_values_are_limited(mended: Callable[..., Any], run: Callable[..., Any], at: Callable[..., Any]) -> None:
    """A query value and a path value out of range are refused in the file's style; None passes."""
    source = """
    from flask import Flask, jsonify, request
    app = Flask(__name__)

    @app.get('/list/<int:key>')
    def listing(key):
        page = request.args.get('page', type=int)
        if page == 3:
            return jsonify({'message': 'No page 3'}), 404
        return jsonify([key, page])
    """
    text = mended(source, lambda m: limit(m, at(m.text, "page = request"), "page", Bounds(ge=1, le=50)))
    text = mended(text, lambda m: limit(m, at(m.text, "page = request"), "key", Bounds(ge=1, le=2**31), status=404))
    client = run(text)["app"].test_client()
    assert client.get("/list/1?page=2").json == [1, 2]
    assert client.get("/list/1").json == [1, None]
    assert (client.get("/list/1?page=51").status_code, client.get("/list/99999999999").status_code) == (400, 404)
    assert client.get("/list/1?page=0").json == {"message": "page is out of range"}
