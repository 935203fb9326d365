"""Claims about escaping: a value is escaped where it enters a page, and the page's own markup stays."""

from __future__ import annotations

import ast
import textwrap

import pytest

from toughen.codemod.draft import Draft
from toughen.codemod.fragments import gathered, shown
from toughen.codemod.module import Module
from toughen.codemod.pages import escaped
from toughen.model.patch import Unmended

_PAGE = """
ITEM = '<li>{text}</li>'

def page(row, rows):
    html = '<ul>'
    cell = f"<td>{row['text']}</td>"
    html += ADDED
    return html + '</ul>'
"""


def _holds(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Name) and each.id in {"row", "rows", "cell", "html"} for each in ast.walk(node))


def _mended(added: str) -> Draft | Unmended:
    module = Module("app.py", _PAGE.replace("ADDED", added))
    (function,) = module.functions
    (step,) = [each for each in ast.walk(function) if isinstance(each, ast.AugAssign)]
    return escaped(module, step, step.value, _holds, lambda _: False)


@pytest.mark.parametrize(
    ("added", "wanted"),
    [
        ("f\"<li>{row['text']}</li>\"", "f\"<li>{escape(str(row['text']))}</li>\""),
        ("'<li>' + row['text'] + '</li>'", "'<li>' + escape(str(row['text'])) + '</li>'"),
        ("ITEM.format(text=row['text'])", "ITEM.format(text=escape(str(row['text'])))"),
        ("ITEM.replace('{text}', row['text'])", "ITEM.replace('{text}', escape(str(row['text'])))"),
        ("f\"<p>{row['text'].replace('x', '<br>')}</p>\"", "f\"<p>{escape(str(row['text'])).replace('x', '<br>')}</p>\""),
        ("'<p>' + (row['text'] if row else '<i>none</i>') + '</p>'", "'<p>' + (escape(str(row['text'])) if row else '<i>none</i>') + '</p>'"),
    ],
)
def test_the_value_is_escaped_where_it_enters(added: str, wanted: str) -> None:
    """In f-strings, sums, templates of the module's own, beside other text with tags, and before its lines get tags."""
    made = _mended(added)
    assert isinstance(made, Draft), made
    assert f"html += {wanted}" in made.done()


def test_a_part_with_tags_of_its_own_is_followed() -> None:
    """A cell that was put together before is escaped there, and not as a whole."""
    made = _mended("f'<tr>{cell}</tr>'")
    assert isinstance(made, Draft), made
    assert "cell = f\"<td>{escape(str(row['text']))}</td>\"" in made.done()
    assert "html += f'<tr>{cell}</tr>'" in made.done()


@pytest.mark.parametrize("added", ["f'<div>{html}</div>'", "f\"<p>{row['text']!r}</p>\"", "f\"<p>{row['text'].ljust(9, '<b>')}</p>\"", "drawn(rows)", "'<p>' + (row['text'] or '<i>none</i>')"])
def test_what_cannot_be_told_apart_is_refused(added: str) -> None:
    """Names that gather markup, formatted values, and texts that another function makes stay as they are."""
    assert isinstance(_mended(added), Unmended)


def test_names_that_gather_markup() -> None:
    """What a function returns as a page is gathered of parts that are gathered themselves; a mail's text is not shown."""
    module = Module("app.py", textwrap.dedent("""
        def page(rows):
            parts, mail, once = [], '<p>', '<b>'
            parts = []
            for row in rows:
                parts.append(f'<li>{row}</li>')
                mail += '<i>sent</i>'
            html = '<ul>'
            html += ''.join(parts)
            mail = '<p>'
            send(mail)
            return html, 200
        """))
    (function,) = module.functions
    assert gathered(module, function) == {"parts", "html", "mail"}
    assert shown(module, function) == {"parts", "html"}
