"""Proves that FastAPI routes, parameters and guards are read from the source alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.model.blueprint import Place
from toughen.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.model.blueprint import Blueprint, Parameter, Route
    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

FILES = {
    "app/__init__.py": "",
    "app/main.py": """
        from typing import Annotated
        from fastapi import Body, Cookie, Depends, FastAPI, File, Form, Header, HTTPException, Query, Request, UploadFile
        from .config import settings
        from .deps import CurrentUser, verify_key
        from .routers import admin, items

        app = FastAPI()
        for module in (items, admin):
            app.include_router(module.router, prefix=settings.API)


        @app.post("/raw")
        async def raw(request: Request, x_trace: str = Header(...), track: Annotated[str | None, Cookie()] = None):
            body = await request.json()
            name = body["name"]
            age = int(body.get("age", 3))
            for line in body["lines"]:
                total = line["price"] * line.get("qty", 1)
            if body.get("kind") not in ("a", "b"):
                raise HTTPException(400, "kind")
            return {}


        @app.post("/upload")
        def upload(file: UploadFile = File(...), title: str = Form(min_length=2)):
            return 1


        @app.post("/untyped")
        def untyped(data: dict = Body(...)):
            return data["z"]


        @app.get("/keyed", dependencies=[Depends(verify_key)])
        def keyed(limit: Annotated[int, Query(gt=0, le=100)] = 10):
            return 1


        @app.get("/me/{item_id}")
        def me(user: CurrentUser, item_id: int):
            return 1
        """,
    "app/config.py": """
        PREFIX = "/api"


        class Settings:
            API: str = PREFIX + "/v1"


        settings = Settings()
        """,
    "app/deps.py": """
        import enum
        from typing import Annotated
        from fastapi import Depends, Header, HTTPException, status
        from fastapi.security import OAuth2PasswordBearer

        oauth = OAuth2PasswordBearer(tokenUrl="/t")


        class Role(str, enum.Enum):
            ADMIN = "admin"
            CHEF = "chef"


        class User:
            role: str


        async def get_current_user(token: Annotated[str, Depends(oauth)]) -> User:
            raise HTTPException(status_code=status.HTTP_401_UNAUTHORIZED)


        CurrentUser = Annotated[User, Depends(get_current_user)]


        def verify_key(x_api_key: str = Header()):
            if x_api_key != "k":
                raise HTTPException(403)


        class RoleChecker:
            def __init__(self, roles: list):
                self.roles = roles

            def __call__(self, user: CurrentUser):
                if user.role not in self.roles:
                    raise HTTPException(403, "no")
                return user


        def require_role(role):
            def check(user: CurrentUser):
                if user.role != role:
                    raise HTTPException(status_code=403)
                return user
            return check


        def get_db():
            yield 1


        allow_admin = RoleChecker(["admin"])
        """,
    "app/routers/__init__.py": "",
    "app/routers/items.py": """
        from typing import List, Literal, Optional
        from fastapi import APIRouter, Depends, HTTPException
        from pydantic import BaseModel, EmailStr, Field, conint
        from ..deps import CurrentUser, Role, get_db

        router = APIRouter(prefix="/items")


        class Address(BaseModel):
            street: str
            zip: Optional[str] = None


        class Base(BaseModel):
            name: str = Field(..., min_length=1, max_length=50)


        class Item(Base):
            email: EmailStr
            price: float = Field(gt=0)
            count: conint(gt=0, lt=10) = 1
            role: Role = Role.CHEF
            kind: Literal["a", "b"]
            tags: List[str] = []
            address: Address
            other: Address | None = None


        @router.post("")
        def create(item: Item, user: CurrentUser, db=Depends(get_db)):
            if user.role != Role.ADMIN:
                raise HTTPException(403, "no")
            return item


        @router.put("/{id}")
        def put(id: int, item: Item, extra: Address, note: str = ""):
            return item
        """,
    "app/routers/admin.py": """
        from fastapi import APIRouter, Depends
        from ..deps import RoleChecker, allow_admin, require_role

        router = APIRouter(prefix="/admin", dependencies=[Depends(allow_admin)])


        @router.delete("/files/{name:path}", dependencies=[Depends(require_role("chef"))])
        def remove(name: str):
            return 1


        @router.get("/c")
        def c(u=Depends(RoleChecker(["boss"]))):
            return 1
        """,
}


@pytest.fixture
def blueprint(project: Write) -> Blueprint:
    """The survey of the sample."""
    return survey(project(FILES))


def route(blueprint: Blueprint, name: str) -> Route:
    """The route of that id."""
    found = blueprint.route(name)
    assert found is not None, [each.id for each in blueprint.routes]
    return found


def told(found: Route) -> dict[tuple[Place, tuple[str | int, ...]], Parameter]:
    """Parameters by place and path."""
    return {(each.place, each.path): each for each in found.parameters}


def test_every_route_has_its_whole_path(blueprint: Blueprint) -> None:
    """Prefixes of routers and includes are resolved through constants, settings objects and loops over modules."""
    assert {each.id for each in blueprint.routes} == {
        "POST /raw", "POST /upload", "POST /untyped", "GET /keyed", "GET /me/{item_id}",
        "POST /api/v1/items", "PUT /api/v1/items/{id}", "DELETE /api/v1/admin/files/{name}", "GET /api/v1/admin/c",
    }  # fmt: skip


def test_a_handler_is_its_def_line(blueprint: Blueprint) -> None:
    """Not the line of a decorator."""
    handler = route(blueprint, "GET /me/{item_id}").handler
    line = FILES["app/main.py"].lstrip("\n").split("\n")[handler.line - 1]
    assert line.strip().startswith("def me(")
    assert handler.function == "me"


def test_a_typed_body_is_read_to_its_leaves(blueprint: Blueprint) -> None:
    """Inheritance, bounds, enums, literals, lists, nested and optional models."""
    found = route(blueprint, "POST /api/v1/items")
    assert (found.body, found.body_model) == ("json", "Item")
    by_path = {each.path: each for each in found.parameters if each.place is Place.JSON}
    assert set(by_path) == {
        ("name",), ("email",), ("price",), ("count",), ("role",), ("kind",), ("tags", 0),
        ("address", "street"), ("address", "zip"), ("other", "street"), ("other", "zip"),
    }  # fmt: skip
    assert (by_path["name",].min_length, by_path["name",].max_length, by_path["name",].required) == (1, 50, True)
    assert by_path["email",].format == "email"
    assert (by_path["count",].minimum, by_path["count",].maximum, by_path["count",].default) == (1, 9, 1)
    assert (by_path["role",].enum, by_path["role",].required) == (("admin", "chef"), False)
    assert by_path["kind",].enum == ("a", "b")
    assert by_path["address", "street"].required
    assert not by_path["other", "street"].required
    price = by_path["price",].minimum
    assert price is not None
    assert price > 0


def test_two_bodies_are_embedded(blueprint: Blueprint) -> None:
    """With two models FastAPI wants each under its own name."""
    paths = {each.path for each in route(blueprint, "PUT /api/v1/items/{id}").parameters if each.place is Place.JSON}
    assert ("item", "name") in paths
    assert ("extra", "street") in paths


def test_headers_cookies_forms_and_files(blueprint: Blueprint) -> None:
    """Every place of a request, with its own spelling of names."""
    raw = told(route(blueprint, "POST /raw"))
    assert raw[Place.HEADER, ("x-trace",)].required
    assert not raw[Place.COOKIE, ("track",)].required
    upload = route(blueprint, "POST /upload")
    assert upload.body == "multipart"
    assert told(upload)[Place.FILE, ("file",)].required
    assert told(upload)[Place.FORM, ("title",)].min_length == 2
    limit = told(route(blueprint, "GET /keyed"))[Place.QUERY, ("limit",)]
    assert (limit.type, limit.default, limit.minimum, limit.maximum) == ("integer", 10, 1, 100)


def test_an_untyped_body_is_read_off_the_handler(blueprint: Blueprint) -> None:
    """Keys, casts, defaults, arrays and admitted values, marked as not declared."""
    raw = told(route(blueprint, "POST /raw"))
    name, age, kind = (raw[Place.JSON, (key,)] for key in ("name", "age", "kind"))
    assert name.required
    assert not name.declared
    assert (age.type, age.default, age.required) == ("integer", 3, False)
    assert kind.enum == ("a", "b")
    assert raw[Place.JSON, ("lines", 0, "price")].required
    assert raw[Place.JSON, ("lines", 0, "qty")].default == 1
    assert (Place.JSON, ("z",)) in told(route(blueprint, "POST /untyped"))


def test_dependencies_that_refuse_are_guards(blueprint: Blueprint) -> None:
    """An alias of Annotated, a checker object, a factory, a router's own; a session of the database is none."""
    assert [(each.kind, each.name) for each in route(blueprint, "GET /me/{item_id}").guards] == [
        ("dependency", "get_current_user")
    ]
    assert [each.name for each in route(blueprint, "GET /keyed").guards] == ["verify_key"]
    removed = {each.name: each.roles for each in route(blueprint, "DELETE /api/v1/admin/files/{name}").guards}
    assert removed["allow_admin"] == ("admin",)
    assert removed["require_role"] == ("chef",)
    assert ("boss",) in [each.roles for each in route(blueprint, "GET /api/v1/admin/c").guards]
    assert route(blueprint, "POST /untyped").guards == ()


def test_a_test_of_the_callers_role_is_an_inline_guard(blueprint: Blueprint) -> None:
    """`if user.role != Role.ADMIN: raise 403` asks for the enum's value."""
    guards = {each.kind: each for each in route(blueprint, "POST /api/v1/items").guards}
    assert guards["dependency"].name == "get_current_user"
    assert guards["inline"].roles == ("admin",)


def test_roles_are_known(blueprint: Blueprint) -> None:
    """Values of the enum, and what the guards ask for."""
    assert set(blueprint.roles) == {"admin", "chef", "boss"}
