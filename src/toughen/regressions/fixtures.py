"""Owns what a file of tests stands on, as text: fixtures of pytest's, a class of unittest's, a class of Django's."""

from __future__ import annotations

from dataclasses import dataclass

from toughen.regressions.clients import DJANGO, STARLETTE


@dataclass(frozen=True, slots=True)
class Ground:
    """What a file of tests stands on."""

    kind: str
    """suite (the project's own fixture), beside (an own folder is where the application runs) or elsewhere (its database files are led into an own folder)."""
    client: str
    """starlette, flask or django."""
    imports: tuple[str, ...] = ()
    standard: tuple[str, ...] = ()
    """Imports of the standard library, as far as they are needed."""
    text: str = ""
    """Constants and fixtures."""
    writable: bool = False
    block: str = ""
    """Head of the class whose methods the tests are, "" where they are functions."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What a client of the file's own is made of."""

    client: str
    root: str
    """Expression of the folder that the application is imported from."""
    modules: tuple[str, ...]
    doc: str
    variables: tuple[tuple[str, str], ...]
    """Environment variables, each with the expression of its value."""
    beside: bool
    imports: tuple[str, ...]
    prepared: tuple[str, ...]
    """Statements that make the tables."""
    application: str
    writable: bool
    framework: str


_STANDARD = ("import contextlib", "import os", "import runpy", "import sqlite3", "import sys", "import tempfile", "import unittest", "from pathlib import Path", "from unittest import mock")
_ELSEWHERE = '''connect = sqlite3.connect

def elsewhere(database, *arguments, **options):
    """Each file of a database lies in the test's own folder."""
    name = str(database)
    return connect(name if ":memory:" in name or name.startswith("file:") else tmp_path / Path(name).name, *arguments, **options)
'''
_FILE = 'file = next(each for each in tmp_path.rglob("*") if each.is_file() and each.read_bytes().startswith(b"SQLite format 3"))'
_HEAD = '''ROOT = {root}
MODULES = {{{modules}}}
"""What the application consists of."""
sys.path.insert(0, str(ROOT))
'''
_FUNCTIONS = '''

@pytest.fixture
def imported_anew():
    """The application is imported anew for a test; what others have imported is put back."""
    before = {{name: module for name, module in sys.modules.items() if name.partition(".")[0] in MODULES}}
    for name in before:
        del sys.modules[name]
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] in MODULES]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def client(imported_anew, tmp_path, monkeypatch):
    """A client of the application, {doc}."""
{inside}
'''
_ROWS = f'''

@pytest.fixture
def write(client, tmp_path):
    """Change rows where no route does."""
    {_FILE}

    def run(statement, *values):
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(statement, values)

    return run


@pytest.fixture
def read(client, tmp_path):
    """Look up one value where no route shows it."""
    {_FILE}

    def run(statement, *values):
        with contextlib.closing(sqlite3.connect(file)) as database:
            return database.execute(statement, values).fetchone()[0]

    return run
'''
_CLASS = '''class HardenedTest(unittest.TestCase):
    """Each test has the application imported anew, {doc}."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        tmp_path = self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        before = {{name: module for name, module in sys.modules.items() if name.partition(".")[0] in MODULES}}
        stack.callback(self.put_back, before)
        for name in before:
            del sys.modules[name]
{inside}

    def put_back(self, before):
        for name in [each for each in sys.modules if each.partition(".")[0] in MODULES]:
            del sys.modules[name]
        sys.modules.update(before)
'''
_METHODS = f'''
    def write(self, statement, *values):
        """Change rows where no route does."""
        {_FILE.replace("tmp_path", "self.folder")}
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(statement, values)

    def read(self, statement, *values):
        """Look up one value where no route shows it."""
        {_FILE.replace("tmp_path", "self.folder")}
        with contextlib.closing(sqlite3.connect(file)) as database:
            return database.execute(statement, values).fetchone()[0]
'''
_DJANGO = '''class HardenedTest(TestCase):
    """Each test has an empty database, and a client that is answered 500 where something is raised."""

    def setUp(self):
        self.client.raise_request_exception = False

    def write(self, statement, *values):
        """Change rows where no view does."""
        with connection.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), values)

    def read(self, statement, *values):
        """Look up one value where no view shows it."""
        with connection.cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), values)
            return cursor.fetchone()[0]
'''


def django_ground(settings: tuple[str, ...]) -> Ground:
    """A class of Django's; `settings` are those that a test cannot stand on, as they are overridden."""
    over = f"@override_settings({', '.join(settings)})\n" if settings else ""
    imports = ("from django.contrib.auth import get_user_model", "from django.db import connection", f"from django.test import {'TestCase, override_settings' if settings else 'TestCase'}")
    return Ground("suite", DJANGO, imports, (), "", writable=True, block=over + _DJANGO)


def function_ground(stand: Stand) -> Ground:
    """Fixtures of pytest's."""
    inside = ["monkeypatch.chdir(tmp_path)"] if stand.beside else [*_ELSEWHERE.split("\n"), 'monkeypatch.setattr("sqlite3.connect", elsewhere)', 'monkeypatch.setattr("sqlite3.dbapi2.connect", elsewhere)']
    inside += [f'monkeypatch.setenv("{name}", {value})' for name, value in stand.variables]
    inside += [*stand.imports, "", *stand.prepared]
    if stand.client == STARLETTE:
        inside += [f"with TestClient({stand.application}, raise_server_exceptions=False) as test_client:", "    yield test_client"]
    else:
        inside += [f"yield {stand.application}.test_client()"]
    text = _head(stand) + _FUNCTIONS.format(doc=stand.doc, inside=_indented(inside, 4)) + (_ROWS if stand.writable else "")
    return Ground("beside" if stand.beside else "elsewhere", stand.client, ("import pytest", *_client_of(stand)), _STANDARD, text, stand.writable)


def class_ground(stand: Stand) -> Ground:
    """A class of unittest's."""
    inside = ["self.addCleanup(os.chdir, os.getcwd())", "os.chdir(tmp_path)"] if stand.beside else [*_ELSEWHERE.split("\n"), *(f'stack.enter_context(mock.patch("{each}", elsewhere))' for each in ("sqlite3.connect", "sqlite3.dbapi2.connect"))]
    if stand.variables:
        inside += ["stack.enter_context(mock.patch.dict(os.environ, {", *(f'    "{name}": {value},' for name, value in stand.variables), "}))"]
    inside += [*stand.imports, "", *stand.prepared]
    if stand.client == STARLETTE:
        inside += [f"self.client = stack.enter_context(TestClient({stand.application}, raise_server_exceptions=False))"]
    else:
        inside += [f"self.client = {stand.application}.test_client()"]
    block = _CLASS.format(doc=stand.doc, inside=_indented(inside, 8)) + (_METHODS if stand.writable else "")
    return Ground("beside" if stand.beside else "elsewhere", stand.client, _client_of(stand), _STANDARD, _head(stand), stand.writable, block)


def _head(stand: Stand) -> str:
    return _HEAD.format(root=stand.root, modules=", ".join(f'"{each}"' for each in stand.modules))


def _client_of(stand: Stand) -> tuple[str, ...]:
    if stand.client != STARLETTE:
        return ()
    return ("from fastapi.testclient import TestClient",) if stand.framework == "fastapi" else ("from starlette.testclient import TestClient",)


def _indented(lines: list[str], by: int) -> str:
    return "\n".join(f"{' ' * by}{each}" if each else "" for each in lines)
