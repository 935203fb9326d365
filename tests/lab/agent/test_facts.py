"""Owns the claims about FACTS and about the steps that prepare a database."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

FASTAPI = """
    import enum, functools
    from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security, WebSocket
    from fastapi.security import OAuth2PasswordBearer
    from fastapi.staticfiles import StaticFiles
    from pydantic import BaseModel
    from sqlalchemy import Column, Enum, ForeignKey, Index, Integer, Numeric, String, UniqueConstraint, create_engine
    from sqlalchemy.orm import declarative_base, sessionmaker
    from starlette.endpoints import HTTPEndpoint
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    engine = create_engine("sqlite:///app.db")
    Base = declarative_base()
    class Role(enum.Enum):
        ADMIN = "admin"
        USER = "user"
    class User(Base):
        __tablename__ = "users"
        id = Column(Integer, primary_key=True)
        email = Column(String(80), unique=True, nullable=False)
        role = Column(Enum(Role), default=Role.USER)
    class Seat(Base):
        __tablename__ = "seats"
        id = Column(Integer, primary_key=True)
        row = Column(String)
        number = Column(Integer)
        price = Column(Numeric)
        user_id = Column(Integer, ForeignKey("users.id"))
        __table_args__ = (UniqueConstraint("row", "number"), Index("by_user", "user_id", unique=True))

    oauth = OAuth2PasswordBearer(tokenUrl="login", scopes={"notes": "read"})
    class RoleChecker:
        def __init__(self, roles): self.roles = roles
        def __call__(self, token=Depends(oauth)): return token
    def current_user(token: str = Security(oauth, scopes=["notes"])):
        return token
    def logged(function):
        def wrapper(*args, **keywords):
            return function(*args, **keywords)
        wrapper.__signature__ = __import__("inspect").signature(function)
        return wrapper

    app = FastAPI()
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/outer", dependencies=[Depends(RoleChecker(["admin"]))])
    @inner.get("/notes/{note_id}", include_in_schema=False)
    def note(note_id: int, user=Depends(current_user)):
        return note_id
    @app.post("/plain")
    @logged
    def plain(x: int):
        return x
    class Page(HTTPEndpoint):
        async def get(self, request): return PlainTextResponse("x")
        async def put(self, request): return PlainTextResponse("y")
    outer.include_router(inner)
    app.include_router(outer)
    app.router.routes.append(Route("/page/{name:path}", Page))
    sub = FastAPI()
    @sub.delete("/items/{item}")
    def drop(item: str):
        return item
    app.mount("/sub", sub)
    @app.websocket("/ws")
    async def ws(socket: WebSocket): ...

    if __name__ == "__main__":
        import uvicorn
        session = sessionmaker(bind=engine)()
        Base.metadata.create_all(engine)
        session.add(User(email="seed@x.example"))
        session.commit()
        if session.query(User).count() > 5:
            uvicorn.run(app)
        uvicorn.run(app, port=9999)
"""

FLASK = """
    from flask import Blueprint, Flask
    from flask.views import MethodView
    def deco(f):
        def inner(*args, **keywords):
            return f(*args, **keywords)
        inner.__name__ = f.__name__
        return inner
    def create_app():
        app = Flask(__name__)
        shop = Blueprint("shop", __name__, url_prefix="/shop")
        class Item(MethodView):
            def get(self, item_id): return str(item_id)
            def delete(self, item_id): return ""
        shop.add_url_rule("/items/<int:item_id>", view_func=Item.as_view("item"))
        @shop.route("/find/<path:rest>/<any(a,b):kind>", methods=["GET", "POST"])
        @deco
        def find(rest, kind):
            return rest
        app.register_blueprint(shop)
        return app
"""


def routes(host: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """ROUTEs by method and path."""
    return {(method, each["path"]): each for each in host.facts["routes"] for method in each["methods"]}


def source_line(source: str, text: str) -> int:
    """Number of the line of a source that holds a text."""
    return next(number for number, line in enumerate(source.splitlines(), 1) if text in line)


def test_fastapi_routes(boot: Callable[..., Any]) -> None:
    """Nested routers, hidden routes, mounted apps, decorators and endpoint classes are found; WebSockets are not."""
    host = boot(FASTAPI)
    found = routes(host)
    assert set(found) == {
        ("GET", "/outer/inner/notes/{note_id}"),
        ("POST", "/plain"),
        ("GET", "/page/{name}"),
        ("PUT", "/page/{name}"),
        ("DELETE", "/sub/items/{item}"),
    }
    assert host.facts["framework"] == "fastapi"
    assert host.facts["failed"] == []
    plain = found["POST", "/plain"]
    assert (plain["line"], plain["function"]) == (source_line(FASTAPI, "def plain"), "plain")
    assert plain["file"] == str(host.root / "main.py")
    assert found["PUT", "/page/{name}"]["line"] == source_line(FASTAPI, "async def put")
    assert found["GET", "/page/{name}"]["converters"] == {"name": "path"}
    note = found["GET", "/outer/inner/notes/{note_id}"]
    assert note["in_schema"] is False
    told = {each["name"]: each for each in note["dependencies"]}
    assert set(told) == {"RoleChecker", "current_user", "OAuth2PasswordBearer"}
    assert (told["RoleChecker"]["values"], told["RoleChecker"]["line"]) == (
        ["admin"],
        source_line(FASTAPI, "def __call__"),
    )
    assert told["OAuth2PasswordBearer"]["kind"] == "scheme"


def test_openapi_covers_hidden_and_mounted_routes(boot: Callable[..., Any]) -> None:
    """The schema holds every route, and the prototype's own schema stays as it was."""
    host = boot(FASTAPI)
    assert set(host.facts["openapi"]["paths"]) == {"/outer/inner/notes/{note_id}", "/plain", "/sub/items/{item}"}
    import json

    own = json.loads(host.child().serve(("GET", "/openapi.json"))[0]["body"])
    assert "/plain" in own["paths"]
    assert "/outer/inner/notes/{note_id}" not in own["paths"]


def test_tables(boot: Callable[..., Any]) -> None:
    """Tables come with their class, its line, types, keys, enumerations and unique constraints."""
    tables = {each["name"]: each for each in boot(FASTAPI).facts["tables"]}
    assert set(tables) == {"users", "seats"}
    assert (tables["users"]["model"], tables["users"]["line"]) == ("User", source_line(FASTAPI, "class User"))
    users = {each["name"]: each for each in tables["users"]["columns"]}
    assert (users["email"]["unique"], users["email"]["max_length"], users["email"]["nullable"]) == (True, 80, False)
    assert (users["role"]["enum"], users["role"]["has_default"]) == (["ADMIN", "USER"], True)
    assert (users["id"]["primary_key"], users["id"]["has_default"]) == (True, True)
    seats = {each["name"]: each for each in tables["seats"]["columns"]}
    assert (seats["user_id"]["references"], seats["price"]["type"]) == (["users", "id"], "number")
    assert tables["seats"]["uniques"] == [["row", "number"], ["user_id"]]


def test_flask_routes(boot: Callable[..., Any]) -> None:
    """Blueprints, class-based views, converters and decorators without functools.wraps lead to the project's functions."""
    host = boot(FLASK, "main:create_app()")
    found = routes(host)
    assert set(found) == {
        ("GET", "/shop/items/{item_id}"),
        ("DELETE", "/shop/items/{item_id}"),
        ("GET", "/shop/find/{rest}/{kind}"),
        ("POST", "/shop/find/{rest}/{kind}"),
    }
    assert found["DELETE", "/shop/items/{item_id}"]["line"] == source_line(FLASK, "def delete")
    assert found["GET", "/shop/find/{rest}/{kind}"]["line"] == source_line(FLASK, "def find")
    assert found["GET", "/shop/find/{rest}/{kind}"]["converters"] == {"rest": "path", "kind": "string"}
    assert found["GET", "/shop/items/{item_id}"]["converters"] == {"item_id": "int"}
    assert host.facts["framework"] == "flask"


def test_main_block_runs_without_its_server(boot: Callable[..., Any]) -> None:
    """The entry's own main block prepares the database; what starts a server is left out, and a fork stays safe."""
    host = boot(FASTAPI)
    prepared = host.server.ask(do="prepare", step="main_block")["prepared"]
    assert prepared["failed"] == []
    assert len(prepared["did"]) == 1
    with sqlite3.connect(host.root / "app.db") as connection:
        assert connection.execute("select email, role from users").fetchall() == [("seed@x.example", "USER")]
    assert host.server.ask(do="facts")["ready"]["fork"] == "safe"
    assert host.child().serve(("POST", "/plain?x=1"))[0]["body"] == b"1"


def test_create_all(boot: Callable[..., Any]) -> None:
    """Tables of every metadata are created where its engine points."""
    host = boot(FASTAPI)
    prepared = host.server.ask(do="prepare", step="create_all")["prepared"]
    assert prepared["failed"] == []
    assert prepared["did"]
    with sqlite3.connect(host.root / "app.db") as connection:
        names = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
    assert names == {"users", "seats"}


def test_prepare_is_never_fatal(boot: Callable[..., Any]) -> None:
    """A main block that raises is told with its line, and the server goes on."""
    host = boot(
        "def app(e, s):\n    s('200 OK', []); return [b'x']\nif __name__ == '__main__':\n    import sys\n    sys.exit('no')\n"
    )
    prepared = host.server.ask(do="prepare", step="main_block")["prepared"]
    assert prepared["did"] == []
    assert "SystemExit: no at main.py:5" in prepared["failed"][0]
    assert host.child().serve(("GET", "/"))[0]["status"] == 200
