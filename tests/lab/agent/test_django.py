"""Proves what the agent makes of Django without a prototype: patterns of URLs, cursors that go behind the hooks, tasks for workers."""

from __future__ import annotations

import sqlite3
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from toughen.lab.agent import dj_sqlite, dj_urls, queues, sqlite
from toughen.lab.agent.recorder import RECORDER


@pytest.mark.parametrize(
    ("route", "path", "kinds"),
    [
        ("notes/<int:pk>/", "notes/{pk}/", {"pk": "int"}),
        ("<slug:name>/files/<path:rest>", "{name}/files/{rest}", {"name": "string", "rest": "path"}),
        ("plain", "plain", {}),
    ],
)
def test_a_path_is_a_template(route: str, path: str, kinds: dict[str, str]) -> None:
    """Names stay, and converters become kinds."""
    assert dj_urls.template(SimpleNamespace(_route=route)) == (path, kinds)


@pytest.mark.parametrize(
    ("regex", "path", "kinds"),
    [
        (r"^notes/(?P<pk>\d+)/$", "notes/{pk}/", {"pk": "int"}),
        (r"^a/(?P<year>[0-9]{4})/(?P<slug>[\w-]+)/$", "a/{year}/{slug}/", {"year": "int", "slug": "string"}),
        (r"^old/([^/]+)/(?:page-(?P<page>\d+)/)?$", "old/{arg1}/page-{page}/", {"arg1": "string", "page": "int"}),
        (r"^v1\.0/items/?$", "v1.0/items/", {}),
        (r"^(?P<pk>[^/.]+)/$", "{pk}/", {"pk": "string"}),
    ],
)
def test_a_regular_expression_is_a_template(regex: str, path: str, kinds: dict[str, str]) -> None:
    """Groups become parameters, what may be there is there."""
    assert dj_urls.template(SimpleNamespace(_regex=regex)) == (path, kinds)


def test_a_path_that_only_ends_otherwise_is_no_route() -> None:
    """Django REST framework adds `notes.json` beside `notes/`."""
    assert dj_urls.template(SimpleNamespace(_regex=r"^notes\.(?P<format>[a-z0-9]+)/?$")) is None
    assert dj_urls.template(SimpleNamespace(_route="notes<drf_format_suffix:format>")) is None


def backend() -> Any:
    """A module as `django.db.backends.sqlite3.base` was before Django 4.2."""
    made: Any = ModuleType("base")
    made.Database = sqlite3.dbapi2

    class Wrapper(sqlite3.Cursor):
        def execute(self, query: str, params: Any = ()) -> Any:
            return made.Database.Cursor.execute(self, query, params)

    class DatabaseWrapper:
        def get_new_connection(self) -> Any:
            connection = sqlite.connect(":memory:")
            connection.cursor(factory=Wrapper).execute("PRAGMA foreign_keys = ON")
            return connection

    made.Wrapper, made.DatabaseWrapper = Wrapper, DatabaseWrapper
    return made


def test_a_cursor_that_calls_the_c_class_by_name_is_recorded() -> None:
    """What it runs is recorded; what Django asks of every new connection is not."""
    base = backend()
    dj_sqlite.trace_cursors(base)
    RECORDER.begin({"sql": 1})
    try:
        connection = base.DatabaseWrapper().get_new_connection()
        connection.cursor(factory=base.Wrapper).execute("SELECT 1 WHERE 2 = ?", (2,))
    finally:
        told = RECORDER.end()
    connection.close()
    assert [(each["text"], each["parameters"]) for each in told["statements"]] == [("SELECT 1 WHERE 2 = ?", [2])]


def test_a_task_that_is_handed_over_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker is asked, but one that lies in the process itself."""

    class Celery:
        def __init__(self, broker: str) -> None:
            self.conf = SimpleNamespace(broker_url=broker, task_serializer="json")

        def send_task(self, name: str, args: Any = None, kwargs: Any = None, **keywords: Any) -> str:
            return f"sent {name} {args} {kwargs} {keywords}"

        def AsyncResult(self, number: str) -> str:  # noqa: N802 - Celery's own name
            return f"promised {number}"

    written: list[Any] = []
    kombu = ModuleType("kombu")
    kombu.serialization = SimpleNamespace(dumps=lambda *given: written.append(given))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kombu", kombu)
    queues.take(SimpleNamespace(Celery=Celery))  # type: ignore[arg-type]
    assert Celery("redis://queue.example:6379/0").send_task("pack", (1,), task_id="7") == "promised 7"
    assert written == [(((1,), {}, {}), "json")]
    assert Celery("memory://").send_task("pack", (1,)) == "sent pack (1,) None {}"
