"""Claims about the mechanical words: the file's own style, and refusal where a line is shared."""

from __future__ import annotations

import ast

import pytest

from toughen.codemod import Module, UnmendableError, after, argument, before, decorate, parameter, remove, use, wrap
from toughen.codemod.module import FUNCTIONS

TABBED = "import os\r\n\r\ndef f(a, b=(1)):\r\n\tx = '''é\r\n  z'''  # c\r\n\treturn g(x)"


def _function(module: Module) -> ast.FunctionDef:
    found = next(node for node in ast.walk(module.tree) if isinstance(node, FUNCTIONS))
    assert isinstance(found, ast.FunctionDef)
    return found


def test_lines_come_out_in_tabs_and_crlf() -> None:
    """Inserted lines take the file's indentation step and newline, in front and behind (after the comment)."""
    module = Module("a.py", TABBED)
    first, last = _function(module).body
    assert (
        "\r\n\tif not x:\r\n\t\treturn None\r\n\treturn g(x)"
        in before(module, last, "if not x:\n    return None").done()
    )
    assert "# c\r\n\ty = 1\r\n\treturn" in after(module, first, "y = 1").done()
    assert after(module, last, "pass").done().endswith("\treturn g(x)\r\n\tpass")


def test_wrapping_leaves_text_in_triple_quotes_alone() -> None:
    """Re-indented statements keep the white space inside of their strings."""
    module = Module("a.py", TABBED)
    text = wrap(module, _function(module).body, "try:", "finally:\n    close()").done()
    assert "\ttry:\r\n\t\tx = '''é\r\n  z'''  # c\r\n\t\treturn g(x)\r\n\tfinally:\r\n\t\tclose()" in text


@pytest.mark.parametrize("source", ["def f():\n    a(); b()\n", "def f(): a()\n", "if x: a()\n"])
def test_statements_that_share_a_line_are_refused(source: str) -> None:
    """Nothing can be put in front of or behind a statement that shares its line."""
    module = Module("a.py", source)
    statement = next(node for node in ast.walk(module.tree) if isinstance(node, ast.Expr))
    for act in (before, after):
        with pytest.raises(UnmendableError, match="shares its line"):
            act(module, statement, "c()")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("'''Doc'''\nfrom __future__ import annotations\n\nx = 1\n", "annotations\nfrom flask import abort\n\nx"),
        ("#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nx = 1\n", "utf-8 -*-\nfrom flask import abort\n\nx = 1\n"),
        ("from flask import Flask, request\nx = 1\n", "from flask import Flask, request, abort\n"),
        ("from flask import (\n    Flask,\n    request,\n)\n", "    request,\n    abort,\n)\n"),
        ("from flask import (Flask,\n                   request)\n", "request,\n                   abort)\n"),
        ("import os\nimport sys\n\nx = 1\nimport late\n", "import sys\nfrom flask import abort\n\nx = 1"),
        ("import os; import sys\nx = 1\n", "import os; import sys\nfrom flask import abort\nx = 1"),
    ],
)
def test_imports_go_to_the_head(source: str, wanted: str) -> None:
    """An import extends its sibling or follows the head; docstring, __future__, shebang and coding line stay first."""
    text = use(Module("a.py", source), "from flask import abort").done()
    assert wanted in text
    assert use(Module("a.py", text), "from flask import abort").empty


@pytest.mark.parametrize("source", ["def abort(): ...\n", "from os import abort\n", "abort = 1\n"])
def test_an_import_never_shadows(source: str) -> None:
    """A name that means something else in the file is refused."""
    with pytest.raises(UnmendableError, match="already means"):
        use(Module("a.py", source), "from flask import abort")


@pytest.mark.parametrize(
    ("signature", "text", "first", "wanted"),
    [
        ("()", "u", False, "(u)"),
        ("(a, b=(1))", "u=D(x)", False, "(a, b=(1), u=D(x))"),
        ("(a, b=1)", "u: int", False, "(a, u: int, b=1)"),
        ("(self, a)", "u", True, "(self, u, a)"),
        ("(a=1)", "u", True, "(u, a=1)"),
        ("(*, a)", "u", False, "(u, *, a)"),
        ("(a, **k)", "u=1", False, "(a, u=1, **k)"),
        (
            "(\n    a: int,\n    b: int = 1,\n)",
            "u: int = D(x)",
            False,
            "(\n    a: int,\n    b: int = 1,\n    u: int = D(x),\n)",
        ),
    ],
)
def test_parameters_find_their_place(signature: str, text: str, first: bool, wanted: str) -> None:  # noqa: FBT001
    """A parameter with a default comes last, one without before the first default, in the signature's layout."""
    module = Module("a.py", f"def f{signature}:\n    pass\n")
    assert f"def f{wanted}:" in parameter(module, _function(module), text, first=first).done()


def test_decorators_stand_nearest_to_the_function() -> None:
    """A guard goes below the route, once."""
    module = Module("a.py", "@app.route('/')\ndef f():\n    pass\n")
    text = decorate(module, _function(module), "login_required").done()
    assert text.startswith("@app.route('/')\n@login_required\ndef f():")
    again = Module("a.py", text)
    with pytest.raises(UnmendableError, match="already has"):
        decorate(again, _function(again), "login_required")


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("f()", "f(k=1)"),
        ("f(a)", "f(a, k=1)"),
        ("f((a))", "f((a), k=1)"),
        ("f(a,)", "f(a, k=1,)"),
        ("f(x=(1 + 2))", "f(x=(1 + 2), k=1)"),
        ("f(\n    a,\n    b,\n)", "f(\n    a,\n    b,\n    k=1,\n)"),
    ],
)
def test_arguments_follow_the_others(call: str, wanted: str) -> None:
    """An argument comes behind the last one, whatever parentheses and commas are there."""
    module = Module("a.py", call + "\n")
    node = next(item for item in ast.walk(module.tree) if isinstance(item, ast.Call))
    assert argument(module, node, "k=1").done() == wanted + "\n"


def test_removing_the_only_statement_leaves_pass() -> None:
    """A block never becomes empty."""
    module = Module("a.py", "def f():\n    a()\n")
    assert remove(module, _function(module).body[0]).done() == "def f():\n    pass\n"
