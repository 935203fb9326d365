"""Proves that the YAML of OpenAPI documents is read as a YAML library reads it, and that the rest is refused."""

from __future__ import annotations

from textwrap import dedent

import pytest

from toughen.survey.yaml import YamlError, parse


def test_a_document() -> None:
    """Mappings, sequences at and below their key's indentation, flow, quotes, comments, folded and literal text."""
    text = dedent(
        """
        # leading comment
        openapi: 3.0.1
        info:
          title: "A: b # c"   # trailing
          description: >-
            folded
            text
          code: |
            line one
              line two
        tags:
        - name: db
          on: yes
        - {name: users, list: [1, 2.5, "x, y", true, null]}
        paths:
          /users/{id}:
            get:
              responses:
                '200': {}
                404:
                  description: not
                    found
              nested:
              -
                - 1
                - 2
              empty:
              url: http://x/y#z
        """
    )
    assert parse(text) == {
        "openapi": "3.0.1",
        "info": {"title": "A: b # c", "description": "folded text", "code": "line one\n  line two\n"},
        "tags": [{"name": "db", "on": "yes"}, {"name": "users", "list": [1, 2.5, "x, y", True, None]}],
        "paths": {
            "/users/{id}": {
                "get": {
                    "responses": {"200": {}, "404": {"description": "not found"}},
                    "nested": [[1, 2]],
                    "empty": None,
                    "url": "http://x/y#z",
                }
            }
        },
    }


def test_json_is_yaml() -> None:
    """A document may be JSON."""
    assert parse('{"a": [1]}') == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: !!python/object:os.system x\n",
        "\ta: 1\n",
        "a: [1, 2\n",
        "{",
        "a:\n" + "- " * 500 + "x\n",
        "a: 'x\n",
    ],
)
def test_what_is_not_known_is_refused(text: str) -> None:
    """Anchors, tags, tabs, collections and strings without end, nesting beyond reason."""
    with pytest.raises(YamlError):
        parse(text)
