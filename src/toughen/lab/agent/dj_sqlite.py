"""Owns what Django does with SQLite behind the hooks' back: its cursor calls the C class by name, and asks the database how to show a statement."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import sqlite
from .recorder import RECORDER

if TYPE_CHECKING:
    from .hooks import Finder


def register(finder: Finder) -> None:
    """Name the modules that are hooked when the prototype imports them."""
    finder.when("django.db.backends.sqlite3.base", trace_cursors)
    finder.when("django.db.backends.sqlite3.operations", show_plainly)


def trace_cursors(module: Any) -> None:
    """Before Django 4.2 its cursor says `Database.Cursor.execute(self, ...)`, whatever else the object is: that is the traced one."""
    real = module.Database
    shown: Any = ModuleType(real.__name__)
    vars(shown).update(vars(real))
    shown.Cursor = sqlite.TracedCursor
    module.Database = shown
    opened = module.DatabaseWrapper.get_new_connection

    def get_new_connection(self: Any, *args: Any, **keywords: Any) -> Any:
        # What Django asks of every new connection is no statement of the prototype's.
        recording, RECORDER.sql = RECORDER.sql, 0
        try:
            return opened(self, *args, **keywords)
        finally:
            RECORDER.sql = recording

    module.DatabaseWrapper.get_new_connection = get_new_connection


def show_plainly(module: Any) -> None:
    """In debug mode each statement is followed by one that quotes its values for show (`SELECT QUOTE(?)`): no statement of the prototype's."""

    def _quote_params_for_last_executed_query(self: Any, params: Any) -> tuple[str, ...]:
        del self
        return tuple(repr(each) for each in params)

    module.DatabaseOperations._quote_params_for_last_executed_query = _quote_params_for_last_executed_query
