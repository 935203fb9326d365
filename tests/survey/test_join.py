"""Proves that what the running prototype says of itself is the truth, and that the source adds what it knows besides."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from toughen.model.blueprint import Place
from toughen.survey import join, survey
from toughen.survey.openapi import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

APP = """
    from typing import Annotated, Optional
    from fastapi import Depends, FastAPI, Header, HTTPException, Request
    from pydantic import BaseModel, Field

    app = FastAPI()


    class Line(BaseModel):
        sku: str
        quantity: int = Field(gt=0, lt=100)


    class Order(BaseModel):
        lines: list[Line]
        note: Optional[str] = None
        ship_to: dict | None = None


    def signed_in(authorization: Annotated[str | None, Header()] = None):
        if authorization is None:
            raise HTTPException(401)
        return authorization


    @app.post("/orders")
    def create(order: Order, user=Depends(signed_in)):
        return {}


    @app.post("/raw")
    async def raw(request: Request):
        data = await request.json()
        return data["x"]
    """


def real_openapi(sources: Sources) -> dict[str, Any]:
    """The document that FastAPI itself makes of the project's app."""
    code = "import json, main; print(json.dumps(main.app.openapi()))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=sources.root, capture_output=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_routes_of_the_framework_are_the_truth(project: Write) -> None:
    """A route that only the framework knows is there, one that only the source knows is gone."""
    sources = project({"main.py": APP})
    static = survey(sources)
    line = next(number for number, text in enumerate(sources.texts["main.py"].split("\n"), 1) if "def create" in text)
    facts = {
        "framework": "fastapi",
        "routes": [
            {"methods": ["POST"], "path": "/made/by/a/loop", "name": "create", "file": "/tmp/copy/main.py", "line": line,
             "function": "create", "in_schema": True, "converters": {}, "dependencies": []},
            {"methods": ["GET"], "path": "/lib", "name": "lib", "file": "/venv/lib/python3.11/site-packages/lib/main.py",
             "line": line, "function": "create", "in_schema": False, "converters": {}, "dependencies": []},
        ],
        "openapi": None, "tables": [], "databases": [{"driver": "psycopg2", "path": ""}],
    }  # fmt: skip
    joined = join(static, facts, sources)
    assert [each.id for each in joined.routes] == ["POST /made/by/a/loop", "GET /lib"]
    made, library = joined.routes
    assert (made.handler.file, made.handler.line, made.handler.function) == ("main.py", line, "create")
    assert made.introspected
    assert ("lines", 0, "sku") in {each.path for each in made.parameters}
    assert library.handler.file == ""
    assert joined.database == "postgresql"


def test_parameters_of_a_real_openapi_document(project: Write) -> None:
    """References, optional unions, arrays and exclusive bounds; the untyped body still comes from the source."""
    sources = project({"main.py": APP})
    static = survey(sources)
    routes = [
        {"methods": [each.method], "path": each.path, "name": "", "file": f"/x/{each.handler.file}",
         "line": each.handler.line, "function": each.handler.function, "in_schema": True, "converters": {},
         "dependencies": []}
        for each in static.routes
    ]  # fmt: skip
    facts = {"framework": "fastapi", "routes": routes, "openapi": real_openapi(sources), "tables": []}
    joined = join(static, facts, sources)
    orders = joined.route("POST /orders")
    assert orders is not None
    found = {each.path: each for each in orders.parameters if each.place is Place.JSON}
    assert set(found) == {("lines", 0, "sku"), ("lines", 0, "quantity"), ("note",), ("ship_to",)}
    quantity = found["lines", 0, "quantity"]
    assert (quantity.type, quantity.minimum, quantity.maximum, quantity.required) == ("integer", 1, 99, True)
    assert (found["note",].type, found["note",].required) == ("string", False)
    assert found["ship_to",].type == "object"
    assert (orders.body, orders.body_model) == ("json", "Order")
    raw = joined.route("POST /raw")
    assert raw is not None
    assert [(each.path, each.declared) for each in raw.parameters] == [(("x",), False)]
    # The survey of the source alone must not say otherwise.
    own = static.route("POST /orders")
    assert own is not None
    assert {(each.place, each.path, each.type, each.required) for each in own.parameters} == {
        (each.place, each.path, each.type, each.required) for each in orders.parameters
    }


def test_dependencies_of_the_framework_are_guards_only_where_they_refuse(project: Write) -> None:
    """A scheme that lets everybody through and a database session guard nothing."""
    sources = project({"main.py": APP})
    static = survey(sources)
    order = static.route("POST /orders")
    assert order is not None
    text = sources.texts["main.py"].split("\n")
    line = next(number for number, each in enumerate(text, 1) if "def signed_in" in each)
    told = {
        "methods": ["POST"], "path": "/orders", "name": "create", "file": "/x/main.py", "line": order.handler.line,
        "function": "create", "in_schema": True, "converters": {},
        "dependencies": [
            {"name": "signed_in", "file": "/x/main.py", "line": line, "scopes": ["write"], "kind": "dependency"},
            {"name": "get_db", "file": "/venv/site-packages/lib.py", "line": 3, "scopes": [], "kind": "dependency"},
        ],
    }  # fmt: skip
    guards = join(static, {"framework": "fastapi", "routes": [told]}, sources).routes[0].guards
    assert [(each.kind, each.name, each.location.line, each.roles) for each in guards] == [
        ("dependency", "signed_in", line, ("write",))
    ]


def test_tables_of_the_framework_come_first(project: Write) -> None:
    """The live table replaces the one in the source, and tables that only the source knows stay."""
    sources = project(
        {
            "main.py": APP,
            "schema.sql": "CREATE TABLE users (id INTEGER PRIMARY KEY);\nCREATE TABLE logs (id INTEGER PRIMARY KEY);\n",
        }
    )
    column = {"name": "email", "type": "string", "nullable": False, "primary_key": False, "unique": True,
              "references": None, "enum": [], "max_length": 9, "has_default": False}  # fmt: skip
    told = {"name": "users", "model": None, "file": None, "line": 0, "columns": [column], "uniques": [["email"]]}
    joined = join(survey(sources), {"routes": [], "tables": [told]}, sources)
    assert [each.name for each in joined.tables] == ["users", "logs"]
    assert [(each.name, each.unique, each.max_length) for each in joined.tables[0].columns] == [("email", True, 9)]
    assert joined.tables[0].uniques == (("email",),)


def test_malformed_documents_are_survived() -> None:
    """A document made by hostile code: loops of references, wrong types, endless nesting."""
    loop: dict[str, Any] = {"$ref": "#/components/schemas/A"}
    document = {
        "paths": {
            "/a": {"post": {"requestBody": {"content": {"application/json": {"schema": loop}}}, "parameters": [3, {}]}},
            "/b": 7,
            "/c": {"get": {"parameters": "no", "security": 5}},
        },
        "components": {"schemas": {"A": {"properties": {"a": loop, "b": {"type": ["null", "integer"]}}}}},
    }
    found = {each.path: each for each in operations(document)}
    assert set(found) == {"/a", "/c"}
    assert ("b",) in {each.path for each in found["/a"].parameters}
    for nonsense in (None, [], {"paths": []}, {"paths": {"/x": {"get": {}}}}):
        operations(nonsense)


def test_swagger_two() -> None:
    """Bodies, forms, files and a base path of the older format."""
    document = {
        "swagger": "2.0", "basePath": "/v1",
        "paths": {
            "/pets": {"post": {"parameters": [
                {"in": "body", "name": "body", "schema": {"$ref": "#/definitions/Pet"}},
                {"in": "query", "name": "dry", "type": "boolean"},
            ]}},
            "/pics": {"post": {"parameters": [{"in": "formData", "name": "pic", "type": "file", "required": True}]}},
        },
        "definitions": {"Pet": {"allOf": [
            {"properties": {"name": {"type": "string"}}, "required": ["name"]},
            {"properties": {"age": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}},
        ]}},
    }  # fmt: skip
    pets, pics = operations(document)
    assert (pets.path, pets.body, pets.body_model) == ("/v1/pets", "json", "Pet")
    told = {(each.place, each.path): (each.type, each.required, each.minimum) for each in pets.parameters}
    assert told == {
        (Place.JSON, ("name",)): ("string", True, None), (Place.JSON, ("age",)): ("integer", False, 1),
        (Place.QUERY, ("dry",)): ("boolean", False, None),
    }  # fmt: skip
    assert (pics.body, pics.parameters[0].place) == ("multipart", Place.FILE)
