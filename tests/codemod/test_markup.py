"""Claims about templates: what prints a column with its markup prints it as text, and nothing else changes."""

from __future__ import annotations

import pytest

from toughen.codemod.markup import as_text, rendered


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("<b>{{ each.title|safe }}</b>{{ each.date|safe }}", "<b>{{ each.title }}</b>{{ each.date|safe }}"),
        ("{{ row['title'] | safe }}", "{{ row['title'] }}"),
        ("{{ title|trim|safe|title }}", "{{ title|trim|title }}"),
        ("{% for row in rows %}{{ row[1]|safe }}{% endfor %}{{ menu|safe }}", "{% for row in rows %}{{ row[1] }}{% endfor %}{{ menu|safe }}"),
        ("{% for name, text in rows %}{{ text|safe }}{% endfor %}{{ csrf()|safe }}", "{% for name, text in rows %}{{ text }}{% endfor %}{{ csrf()|safe }}"),
        ("{% autoescape false %}{{ each.date }}{% endautoescape %}", "{% autoescape true %}{{ each.date }}{% endautoescape %}"),
        ("{{ title }} {{ menu|safe }}", "{{ title }} {{ menu|safe }}"),
        ("{{ article|safe }}", "{{ article|safe }}"),
    ],
)
def test_the_column_is_printed_as_text(template: str, wanted: str) -> None:
    """By its name, else by its place in a row or a loop's name; twice is as once."""
    once = as_text(template, ["title"], ["article"])
    assert once == wanted
    assert as_text(once, ["title"], ["article"]) == once


def test_what_holds_markup_on_purpose_stays() -> None:
    """A name that a function made HTML of keeps `|safe`."""
    assert as_text("{{ title|safe }}", ["title"], ["title"]) == "{{ title|safe }}"


def test_templates_are_found_with_what_they_include() -> None:
    """By the name that they are rendered under, wherever the folder of templates lies."""
    texts = {"web/templates/a.html": '{% extends "base.html" %}{% include \'b.html\' %}', "web/templates/base.html": "", "web/templates/b.html": "", "web/templates/c.html": ""}
    assert rendered(["a.html"], texts) == ["web/templates/a.html", "web/templates/base.html", "web/templates/b.html"]
