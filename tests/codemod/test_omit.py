"""Claims about omit and its like: a column leaves what is shown, and nothing else changes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from toughen.codemod.omit import Showing, omit, showings, unfielded, unloaded, unselected

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod import Draft, Module
    from toughen.model.patch import Unmended


def left_out(module: Module) -> Draft | Unmended:
    """The password left out wherever the file's first function shows it; every name holds a row."""
    return omit(module, shown(module), ["password"])


def shown(module: Module) -> list[Showing]:
    return list(showings(module.functions[0], module, {"password"}, lambda node: isinstance(node, ast.Name | ast.Attribute | ast.Call)))


def test_an_entry_goes_with_its_comma(changed: Callable[..., Any]) -> None:
    """The first, a middle and the last entry of a dictionary go, each with the comma that belongs to it."""
    for before, after in (
        ("{'password': u.password, 'id': u.id}", "{'id': u.id}"),
        ("{'id': u.id, 'password': u.password, 'name': u.name}", "{'id': u.id, 'name': u.name}"),
        ("{'id': u.id, 'password': u['password']}", "{'id': u.id}"),
        ("{'password': u.password}", "{}"),
    ):
        assert changed(f"def show(u):\n    return {before}\n", left_out) == [f"-    return {before}", f"+    return {after}"]


def test_an_entry_on_its_own_line_goes_with_the_line(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Entries on lines of their own keep their order and the comma at the end."""
    source = "def show(u):\n    return {\n        'id': u['id'],\n        'password': u['password'],\n        'name': u['name'],\n    }\n"
    text = mended(source, left_out)
    assert run(text)["show"]({"id": 1, "password": "x", "name": "ann"}) == {"id": 1, "name": "ann"}


def test_a_whole_row_is_filtered_by_its_keys(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """`dict(row)` shows every column but those."""
    text = mended("def show(rows):\n    return [dict(row) for row in rows]\n", left_out)
    assert run(text)["show"]([{"id": 1, "password": "x"}]) == [{"id": 1}]


def test_a_comprehension_over_columns_gets_the_test(changed: Callable[..., Any]) -> None:
    """`{c.name: getattr(self, c.name) for c in ...columns}` passes the column over."""
    source = "class User:\n    def to_dict(self):\n        return {c.name: getattr(self, c.name) for c in self.__table__.columns}\n"
    assert changed(source, left_out)[1] == '+        return {c.name: getattr(self, c.name) for c in self.__table__.columns if c.name not in ("password",)}'


def test_what_is_stored_is_not_shown() -> None:
    """Values of a statement, of a query or of a token are handed to nobody who asks."""
    from toughen.codemod import Module

    source = "def save(conn, u):\n    conn.execute('INSERT INTO users VALUES (:password)', {'password': u.password})\n    return User(**{'password': u.password})\n"
    assert not shown(Module("app.py", source))


def test_a_field_leaves_a_model_of_answers(changed: Callable[..., Any]) -> None:
    """The declaration goes; a model of nothing else keeps a `pass`."""
    assert changed("class Out(BaseModel):\n    id: int\n    password: str\n", lambda m: unfielded(m, "Out", ["password"])) == ["-    password: str"]
    assert changed("class Out(BaseModel):\n    password: str\n", lambda m: unfielded(m, "Out", ["password"])) == ["-    password: str", "+    pass"]


def test_a_schema_reads_the_field_and_shows_it_no_more(changed: Callable[..., Any]) -> None:
    """A declared field is for loading only, a list of fields loses it, a schema made of a class gets `load_only`."""
    assert changed("class S(Schema):\n    password = fields.Str(required=True)\n", lambda m: unloaded(m, "S", ["password"]))[1] == "+    password = fields.Str(required=True, load_only=True)"
    assert changed("class S(ma.Schema):\n    class Meta:\n        fields = ('id', 'password')\n", lambda m: unloaded(m, "S", ["password"]))[1] == "+        fields = ('id',)"
    source = "class S(SQLAlchemyAutoSchema):\n    class Meta:\n        model = User\n"
    assert changed(source, lambda m: unloaded(m, "S", ["password"])) == ['+        load_only = ("password",)']


def test_a_select_names_what_it_reads(changed: Callable[..., Any]) -> None:
    """`*` becomes the other columns; a named column goes from its list."""

    def chosen(module: Module) -> Draft | Unmended:
        text = next(each for each in ast.walk(module.tree) if isinstance(each, ast.Constant) and isinstance(each.value, str))
        return unselected(module, text, ["password"], ["id", "name", "password"])

    assert changed("rows = run('SELECT * FROM users')\n", chosen)[1] == "+rows = run('SELECT id, name FROM users')"
    assert changed("rows = run('SELECT id, password, name FROM users')\n", chosen)[1] == "+rows = run('SELECT id, name FROM users')"
