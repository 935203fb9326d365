"""Claims about the words for tokens, codes, cookies and limits: they are checked, end, are drawn at random, stay on their site, and are counted."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Draft, Module
from toughen.codemod.cookies import configured, limited
from toughen.codemod.limits import limited as counted
from toughen.codemod.limits import made
from toughen.codemod.tokens import drawn, ending, honoured

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.model.patch import Unmended


def call_of(module: Module, name: str) -> ast.Call:
    """The first call of that name."""
    return next(each for each in ast.walk(module.tree) if isinstance(each, ast.Call) and module.segment(each.func).endswith(name))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("jwt.decode(token, KEY, algorithms=['HS256'], options={'verify_signature': False})", "jwt.decode(token, KEY, algorithms=['HS256'])"),
        ("jwt.decode(token, options={'verify_signature': False, 'verify_aud': False})", "jwt.decode(token, KEY, algorithms=['HS256'], options={'verify_aud': False})"),
        ("jwt.decode(token, KEY, algorithms=['HS256', 'none'])", "jwt.decode(token, KEY, algorithms=['HS256'])"),
        ("jwt.decode(token, KEY, verify=False)", "jwt.decode(token, KEY, algorithms=['HS256'])"),
        ("jwt.get_unverified_claims(token)", "jwt.decode(token, KEY, algorithms=['HS256'])"),
    ],
)
def test_a_token_is_checked(changed: Callable[..., Any], before: str, after: str) -> None:
    """The option that passes the signature over goes, and what the check needs is written out."""

    def act(module: Module) -> Draft | Unmended:
        name = "get_unverified_claims" if "get_unverified" in module.text else "decode"
        return honoured(module, call_of(module, name), "KEY", "['HS256']")

    assert changed(f"def read(token):\n    return {before}\n", act) == [f"-    return {before}", f"+    return {after}"]


def test_a_switch_of_the_file_is_turned_on(changed: Callable[..., Any]) -> None:
    """Where a name says whether to check, the name says yes."""
    source = "VERIFY = False\ndef read(token):\n    return jwt.decode(token, KEY, algorithms=['HS256'], options={'verify_signature': VERIFY})\n"
    assert changed(source, lambda m: honoured(m, call_of(m, "decode"), "KEY", "['HS256']")) == ["-VERIFY = False", "+VERIFY = True"]


def test_a_token_ends(changed: Callable[..., Any]) -> None:
    """`exp` joins a dictionary that is written out, and goes around any other expression."""
    assert changed("import jwt\ntoken = jwt.encode({'sub': name}, KEY)\n", lambda m: ending(m, call_of(m, "encode"), 24)) == [
        "-token = jwt.encode({'sub': name}, KEY)", "+import time", "+token = jwt.encode({'sub': name, 'exp': int(time.time()) + 24 * 3600}, KEY)",
    ]  # fmt: skip
    assert changed("import jwt\ntoken = jwt.encode(data, KEY)\n", lambda m: ending(m, call_of(m, "encode"), 24))[-1] == '+token = jwt.encode({**data, "exp": int(time.time()) + 24 * 3600}, KEY)'


def test_a_code_is_drawn_at_random(changed: Callable[..., Any]) -> None:
    """The expression that anybody can work out is exchanged, in the quotes of the file."""

    def act(module: Module) -> Draft | Unmended:
        value = next(each.value for each in module.tree.body if isinstance(each, ast.Assign))
        return drawn(module, [value], 'f"{secrets.randbelow(10**8):08d}"')

    assert changed("import random\nname = 'x'\n", act) == ["-name = 'x'", "+import secrets", "+name = f'{secrets.randbelow(10**8):08d}'"]


def test_a_cookie_stays_on_its_site(changed: Callable[..., Any], refused: Callable[..., Any]) -> None:
    """`set_cookie` gets the attribute; a weak one is exchanged, a strong one left alone."""
    assert changed("r.set_cookie('sid', sid, httponly=True)\n", lambda m: limited(m, [call_of(m, "set_cookie")], "Lax"))[1] == "+r.set_cookie('sid', sid, httponly=True, samesite='Lax')"
    assert changed("r.set_cookie('sid', sid, samesite='None')\n", lambda m: limited(m, [call_of(m, "set_cookie")], "Lax"))[1] == "+r.set_cookie('sid', sid, samesite='Lax')"
    assert "already" in refused("r.set_cookie('sid', sid, samesite='strict')\n", lambda m: limited(m, [call_of(m, "set_cookie")], "Lax"))


def test_the_session_stays_on_its_site(changed: Callable[..., Any]) -> None:
    """The setting follows the application, or is exchanged where the file makes it."""

    def act(module: Module) -> Draft | Unmended:
        app = next(each for each in module.tree.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call))
        return configured(module, app, {"SESSION_COOKIE_SAMESITE": "Lax"})

    assert changed("app = Flask(__name__)\n", act) == ['+app.config["SESSION_COOKIE_SAMESITE"] = "Lax"']
    source = "app = Flask(__name__)\napp.config.update(SESSION_COOKIE_SAMESITE='None')\n"
    assert changed(source, act) == ["-app.config.update(SESSION_COOKIE_SAMESITE='None')", "+app.config.update(SESSION_COOKIE_SAMESITE='Lax')"]


def test_a_route_is_counted(changed: Callable[..., Any], refused: Callable[..., Any]) -> None:
    """The decorator stands below the route; slowapi's wants the request, which must not be something else."""
    source = "@app.post('/login')\ndef login(data: Credentials):\n    ...\n"
    assert changed(source, lambda m: counted(m, m.functions[0], "@limiter.limit('10/minute')", request=True))[-3:] == [
        "-def login(data: Credentials):", "+@limiter.limit('10/minute')", "+def login(request: Request, data: Credentials):",
    ]  # fmt: skip
    taken = "@app.post('/login')\ndef login(request: Login):\n    ...\n"
    assert "not the request" in refused(taken, lambda m: counted(m, m.functions[0], "@limiter.limit('10/minute')", request=True))


def test_a_limit_stands_above_what_refuses(changed: Callable[..., Any]) -> None:
    """Where a decorator below the route asks for a password, the limit is asked first."""
    source = "@bp.route('/tokens', methods=['POST'])\n@authenticate(basic)\ndef new():\n    ...\n"
    lines = changed(source, lambda m: counted(m, m.functions[0], "@limiter.limit('10 per minute')", request=False))
    assert lines == ["+@limiter.limit('10 per minute')"]

    def put(module: Module) -> str:
        draft = counted(module, module.functions[0], "@limiter.limit('10 per minute')", request=False)
        assert isinstance(draft, Draft)
        return draft.done()

    assert put(Module("app.py", source)).splitlines()[:3] == ["@bp.route('/tokens', methods=['POST'])", "@limiter.limit('10 per minute')", "@authenticate(basic)"]


def test_a_limiter_is_made_behind_the_application(changed: Callable[..., Any]) -> None:
    """Flask's takes the application; the name must be free."""

    def act(module: Module) -> Draft | Unmended:
        app = next(each for each in module.tree.body if isinstance(each, ast.Assign))
        return made(module, app, flask=True)

    assert changed("from flask import Flask\napp = Flask(__name__)\n", lambda m: act(m) if "limiter" not in m.text else made(m, m.tree.body[-1], flask=True))[-1] == "+limiter = Limiter(key_func=get_remote_address, app=app)"
