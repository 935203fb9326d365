"""Proves that Flask routes, what untyped handlers read, and guards are read from the source alone."""

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
    "wsgi.py": """
        from shop.factory import create_app

        application = create_app("prod")
        """,
    "shop/__init__.py": "",
    "shop/factory.py": """
        from flask import Flask
        from flask_restful import Api
        from .views.orders import bp as orders_bp, OrderView
        from .views import users, things
        from .auth import check_login


        def create_app(mode="dev", *, x=1):
            app = Flask(__name__)
            app.register_blueprint(orders_bp, url_prefix="/v2/orders")
            app.register_blueprint(users.bp)
            things.register(app)
            app.add_url_rule("/views/<uuid:oid>", view_func=OrderView.as_view("ov"))
            api = Api(app, prefix="/rest")
            api.add_resource(things.Thing, "/thing", "/thing/<int:tid>")
            app.before_request(check_login)
            return app
        """,
    "shop/auth.py": """
        from functools import wraps
        from flask import abort, g, jsonify, redirect, request, session, url_for


        def check_login():
            if request.path in ("/users/login", "/health"):
                return None
            if "uid" not in session:
                return redirect(url_for("users.login"))


        def role_required(*roles):
            def deco(f):
                @wraps(f)
                def inner(*a, **k):
                    if g.user.role not in roles:
                        abort(403)
                    return f(*a, **k)
                return inner
            return deco


        def token_required(f):
            @wraps(f)
            def inner(*a, **k):
                token = request.headers.get("X-Auth-Token")
                if not token:
                    return jsonify({"error": "no"}), 401
                return f(*a, **k)
            return inner
        """,
    "shop/views/__init__.py": "",
    "shop/views/orders.py": """
        from flask import Blueprint, jsonify, request
        from flask.views import MethodView
        from flask_login import login_required
        from ..auth import role_required, token_required

        bp = Blueprint("orders", __name__, url_prefix="/orders")
        FIELDS = ["sku", "amount"]
        OPTIONAL = ["note", "gift"]


        def payload():
            return request.get_json(silent=True) or {}


        @bp.post("/")
        @token_required
        def create():
            data = payload()
            for f in FIELDS:
                if f not in data:
                    return jsonify(error=f"{f} missing"), 400
            missing = [k for k in ("color", "size") if not data.get(k)]
            if missing:
                return jsonify(error="incomplete"), 400
            if not all(data.get(k) for k in ("street", "city")):
                return {"error": "address"}, 400
            for key in OPTIONAL:
                if key in data:
                    print(data[key])
            level = data.get("meta", {})["level"]
            n = int(data["amount"])
            page = request.args.get("page", 1, type=int)
            pic = request.files["pic"]
            t = request.cookies.get("track")
            if "promo" in data and data["promo"]:
                n = n - 1
            save(data)
            return jsonify(ok=True)


        def save(d):
            q = float(d["weight"])


        @bp.route("/<oid>", methods=["GET", "DELETE"])
        @role_required("admin", "ops")
        def one(oid):
            return "x"


        class OrderView(MethodView):
            decorators = [login_required]

            def get(self, oid):
                return "a"

            def put(self, oid):
                status = request.json["status"]
                match status:
                    case "open":
                        return "o"
                    case "shut":
                        return "s"
                return "a"
        """,
    "shop/views/users.py": """
        from flask import Blueprint, render_template, request, session

        bp = Blueprint("users", __name__, url_prefix="/users")


        @bp.route("/login", methods=["GET", "POST"])
        def login():
            if request.method == "POST":
                u = request.form["username"]
                p = request.form.get("password")
                user = db.execute("SELECT * FROM users WHERE name=?", (u,)).fetchone()
                if not user or user["password"] != p:
                    return "bad", 401
                session["uid"] = user["id"]
            return render_template("x")


        @bp.get("/admin")
        def admin():
            if session.get("role") != "admin":
                return {"error": "Forbidden"}, 403
            return request.values.get("q")


        @bp.put("/profile")
        def profile():
            changes = {k: v for k, v in request.json.items() if k in ("email", "phone")}
            token = request.json.get("token")
            if not token:
                return {"error": "token"}, 401
            if request.headers.get("X-CSRF") != session.get("csrf"):
                return {"error": "csrf"}, 403
            return changes
        """,
    "shop/views/things.py": """
        from flask_restful import Resource


        def register(app):
            @app.route("/inner")
            def inner():
                return "x"


        class Thing(Resource):
            def get(self, tid=None):
                return 1

            def post(self):
                return 2
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
    """register_blueprint replaces a prefix; view classes, resources, factories and register(app) functions count."""
    assert {each.id for each in blueprint.routes} == {
        "POST /v2/orders/", "GET /v2/orders/{oid}", "DELETE /v2/orders/{oid}", "GET /views/{oid}", "PUT /views/{oid}",
        "GET /users/login", "POST /users/login", "GET /users/admin", "PUT /users/profile", "GET /inner",
        "GET /rest/thing", "POST /rest/thing", "GET /rest/thing/{tid}", "POST /rest/thing/{tid}",
    }  # fmt: skip


def test_converters_give_types(blueprint: Blueprint) -> None:
    """`<uuid:oid>` and `<int:tid>`."""
    assert told(route(blueprint, "GET /views/{oid}"))[Place.PATH, ("oid",)].format == "uuid"
    assert told(route(blueprint, "GET /rest/thing/{tid}"))[Place.PATH, ("tid",)].type == "integer"


def test_what_a_refusal_asks_for_is_required(blueprint: Blueprint) -> None:
    """Loops over literal keys, comprehensions of what is missing, all(); also in the functions that get the body."""
    found = told(route(blueprint, "POST /v2/orders/"))
    for key in ("sku", "amount", "color", "size", "street", "city", "weight"):
        assert found[Place.JSON, (key,)].required, key
    assert found[Place.JSON, ("amount",)].type == "integer"
    assert found[Place.JSON, ("weight",)].type == "number"


def test_what_is_only_looked_for_is_optional(blueprint: Blueprint) -> None:
    """`if key in data: data[key]` must not make an honest request send a field."""
    found = told(route(blueprint, "POST /v2/orders/"))
    for key in ("note", "gift", "promo"):
        assert not found[Place.JSON, (key,)].required, key


def test_every_place_of_a_request(blueprint: Blueprint) -> None:
    """Query, cookie, file, nested objects, and headers that a decorator reads."""
    found = told(route(blueprint, "POST /v2/orders/"))
    page = found[Place.QUERY, ("page",)]
    assert (page.type, page.default, page.declared) == ("integer", 1, False)
    assert found[Place.FILE, ("pic",)].required
    assert (Place.COOKIE, ("track",)) in found
    assert (Place.JSON, ("meta", "level")) in found
    assert (Place.HEADER, ("X-Auth-Token",)) in found
    assert told(route(blueprint, "PUT /views/{oid}"))[Place.JSON, ("status",)].enum == ("open", "shut")


def test_a_branch_for_another_method_is_not_read(blueprint: Blueprint) -> None:
    """The form belongs to POST; GET of the same handler reads nothing."""
    assert route(blueprint, "GET /users/login").parameters == ()
    assert route(blueprint, "GET /users/login").body is None
    assert set(told(route(blueprint, "POST /users/login"))) == {
        (Place.FORM, ("username",)), (Place.FORM, ("password",)),
    }  # fmt: skip
    assert set(told(route(blueprint, "GET /users/admin"))) == {(Place.QUERY, ("q",))}


def test_keys_that_a_filter_lets_through(blueprint: Blueprint) -> None:
    """`{k: v for k, v in data.items() if k in (...)}` names the fields."""
    found = told(route(blueprint, "PUT /users/profile"))
    assert (Place.JSON, ("email",)) in found
    assert (Place.JSON, ("phone",)) in found


def test_decorators_that_refuse_are_guards(blueprint: Blueprint) -> None:
    """The project's own, with the roles that they are given; a library's; a view's `decorators`."""
    kinds = {each.name: each for each in route(blueprint, "GET /v2/orders/{oid}").guards}
    assert kinds["role_required"].roles == ("admin", "ops")
    assert kinds["role_required"].location.file == "shop/auth.py"
    assert "token_required" in {each.name for each in route(blueprint, "POST /v2/orders/").guards}
    assert "login_required" in {each.name for each in route(blueprint, "PUT /views/{oid}").guards}


def test_a_hook_guards_all_but_what_it_exempts(blueprint: Blueprint) -> None:
    """before_request stands in front of every route that it does not name."""
    guarded = {each.id for each in blueprint.routes if any(one.name == "check_login" for one in each.guards)}
    assert guarded == {each.id for each in blueprint.routes} - {"GET /users/login", "POST /users/login"}


def test_a_wrong_password_a_field_and_a_csrf_token_are_no_guards(blueprint: Blueprint) -> None:
    """A 401 for what the body holds asks nothing of the caller: believing it would make false alarms."""
    assert route(blueprint, "POST /users/login").guards == ()
    assert [each.name for each in route(blueprint, "PUT /users/profile").guards] == ["check_login"]


def test_a_test_of_the_session_is_a_guard(blueprint: Blueprint) -> None:
    """With the role that it asks for."""
    inline = next(each for each in route(blueprint, "GET /users/admin").guards if "session" in each.name)
    assert (inline.kind, inline.roles) == ("inline", ("admin",))
