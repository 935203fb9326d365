"""Claims about Module: offsets, lookups and style survive what real files contain."""

from __future__ import annotations

import ast

import pytest

from toughen.codemod import Module, UnmendableError

SOURCE = (
    "\ufeff'''Über'''\r\nimport os\r\n\r\ndef outer():\r\n\tdef inner(x):\r\n\t\treturn 'é' + x  # ü\r\n\treturn inner"
)


def test_spans_are_bytes_behind_a_bom_and_crlf() -> None:
    """A node's segment is its source text with BOM, CRLF, tabs and characters of two bytes in front of it."""
    module = Module("a.py", SOURCE)
    constants = [module.segment(n) for n in ast.walk(module.tree) if isinstance(n, ast.Constant)]
    assert constants == ["'''Über'''", "'é'"]
    assert (module.newline, module.unit, module.quote) == ("\r\n", "\t", "'")


def test_functions_are_found_by_every_spelling_of_their_name() -> None:
    """Qualified names with and without <locals>, bare names, and lines lead to the same function."""
    module = Module("a.py", SOURCE)
    found = {module.function(name) for name in ("outer.<locals>.inner", "outer.inner", "inner")}
    assert found == {module.function_at(6)}
    assert module.qualified(found.pop()) == "outer.inner"


def test_a_name_defined_twice_needs_a_line() -> None:
    """Two functions of one name are refused without a line, and told apart by one."""
    module = Module("a.py", "class A:\n    def go(self): ...\nclass B:\n    def go(self): ...\n")
    assert module.function("go", 4).lineno == 4
    with pytest.raises(UnmendableError, match="2 times"):
        module.function("go")


def test_statement_is_the_innermost_that_spans_a_line() -> None:
    """A line inside a call over several lines leads to the call's statement, not to the block around."""
    module = Module("a.py", "def f():\n    if x:\n        y(\n            1,\n        )\n")
    statement = module.statement(4)
    assert (statement.lineno, type(statement)) == (3, ast.Expr)


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", "(" * 5000 + ")" * 5000])
def test_text_that_cannot_be_parsed_is_refused(text: str) -> None:
    """Syntax errors, NUL bytes and hostile nesting are refusals and no crash."""
    with pytest.raises(UnmendableError):
        Module("a.py", text)


def test_names_resolve_through_imports() -> None:
    """`from`, `as` and dotted imports lead to the origin of a name."""
    module = Module(
        "a.py", "from flask import jsonify as j\nimport os.path\nimport sqlite3 as s\ns.connect(j, os.path)\n"
    )
    call = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    assert module.resolve(call.func) == "sqlite3.connect"
    assert [module.resolve(item) for item in call.args] == ["flask.jsonify", "os.path"]
