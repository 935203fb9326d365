from __future__ import annotations

from textwrap import dedent

import pytest

from toughen.handling import Place, parsed
from toughen.keeping import COLUMN, NAME, fixed, fresh, made
from toughen.model.blueprint import Place as Where
from toughen.model.journey import Argument, Call, Literal


@pytest.mark.parametrize("name", ["password", "new_password", "newPassword", "user_password", "password2", "confirm_password", "passwd", "pwd", "senha", "mot_de_passe", "old_password"])
def test_what_a_password_is_called(name: str) -> None:
    """In several languages, new or repeated."""
    assert NAME.match(name)


@pytest.mark.parametrize("name", ["password_hint", "password_reset_token", "smtp_password", "wifi_password", "site_password", "passport", "password_hash", "bypass", "passenger"])
def test_what_only_belongs_to_one(name: str) -> None:
    """A hint, a token to reset it, what opens another door, and words that begin alike."""
    assert not NAME.match(name)


@pytest.mark.parametrize(("name", "is_one"), [("password", True), ("hashed_password", True), ("password_hash", True), ("pwd", True), ("hash", True), ("pass", True), ("passport_no", False), ("password_changed_at", False), ("password_reset_token", False), ("token_hash", False), ("salt", False)])  # fmt: skip
def test_columns_that_passwords_are_kept_in(name: str, is_one: bool) -> None:  # noqa: FBT001 - a table of cases
    """By name; what says when one was changed is none."""
    assert bool(COLUMN.search(name)) is is_one


def test_the_password_that_shall_be_stored() -> None:
    """The new one with its repetition, and not the one that it replaces."""
    def call(**values: str) -> Call:
        return Call("POST /x", tuple(Argument(Where.JSON, (name,), Literal(value)) for name, value in values.items()))

    assert [each.path for each in fresh(call(username="a", password="p"))] == [("password",)]
    assert [each.path for each in fresh(call(old_password="p", new_password="q", confirm_password="q"))] == [("new_password",), ("confirm_password",)]
    assert [each.path for each in fresh(call(password="p", new_password="q"))] == [("new_password",)]
    assert not fresh(call(username="a", password_hint="p"))


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("return data.password", "as it was sent"),
        ("password = data['password']\n    return password", "as it was sent"),
        ("return hashlib.sha256(data.password.encode()).hexdigest()", "as a plain digest (sha256)"),
        ("hashed = quick(data['password'])\n    return hashed", "as a plain digest (md5)"),
        ("return base64.b64encode(password.encode()).decode()", "as a plain digest (b64encode)"),
        ("data.password = slow(data.password)\n    return data.password", ""),
        ("return slow(data.password)", ""),
        ("return bcrypt.hashpw(password.encode(), bcrypt.gensalt())", ""),
        ("return hashlib.pbkdf2_hmac('sha256', password.encode(), salt, 600_000)", ""),
        ("return hashlib.sha256(token.encode()).hexdigest()", ""),
        ("return data.username", ""),
    ],
)
def test_what_the_source_makes_of_a_password(body: str, how: str) -> None:
    """As it was sent, a quick digest, also by a function of its own; nothing where it is hashed well or is no password."""
    source = f"""
def quick(text):
    return hashlib.md5(text.encode()).hexdigest()

def slow(text):
    return pwd_context.hash(text)

def keep(data, password, token, salt):
    {body}
"""
    (module,) = parsed({"main.py": dedent(source)}).values()
    node = module.function("keep")
    last = node.body[-1]
    found = made(Place(module, node), last.value, (module,))  # type: ignore[union-attr, arg-type]
    assert (found.how if found is not None else "") == how


def test_texts_that_may_be_a_salt_for_everybody() -> None:
    """Those that stand where something is digested, and constants that are named there; no others."""
    source = 'SALT = "pepper"\nTITLE = "shop"\ndef quick(p):\n    return hashlib.md5((p + SALT + "more").encode("utf-8")).hexdigest()\ndef other():\n    return "elsewhere"\n'
    assert set(fixed(tuple(parsed({"main.py": source}).values()))) == {"pepper", "more", "utf-8"}
