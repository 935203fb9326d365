"""Owns how a Django prototype spells a handler: one file with its settings, its models and its views."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

from .dialects import TABLES, Stack

_FIELDS = {"int": "IntegerField(", "str": "CharField(max_length=80"}
_ENGINES = {
    "sqlite3": '{"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"%s}',
    "psycopg2": '{"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "shop", "PASSWORD": "secret", "HOST": "db.example.com"%s}',
}


@dataclass(frozen=True)
class Django(Stack):
    """Django's own mapper over a driver."""

    requests: bool = False
    """Whether every request is a transaction (ATOMIC_REQUESTS)."""

    @property
    def contention(self) -> str:
        """What a transaction raises that lost against another one and may be tried again."""
        return "OperationalError"

    def refuse(self, status: int) -> str:
        """End with a refusal."""
        return f'return JsonResponse({{"error": "Refused"}}, status={status})'

    def commit(self, how: str = "") -> str:
        """Nothing: a block ends it, or every statement is its own."""
        del how
        return ""

    def rollback(self) -> str:
        """Nothing: the block that failed was rolled back."""
        return "pass"

    def read(self, name: str, table: str, column: str, value: str, *, lock: bool = False) -> str:
        """Read the row whose `column` is `value`."""
        locked = ".select_for_update()" if lock else ""
        return f"{name} = {TABLES[table][0]}.objects{locked}.filter({column}={value}).first()"

    def column(self, name: str, table: str, column: str) -> str:
        """A column of a row that was read."""
        del table
        return f"{name}.{column}"

    def write(self, name: str, table: str, column: str, value: str) -> str:
        """Write a number that was computed before into the row."""
        del table
        return f"{name}.{column} = {value}\n{name}.save()"

    def take(self, name: str, table: str, column: str, amount: str, key: str, *, bounded: bool) -> str:
        """Have the database take a number from the row; `name` is how many rows it hit."""
        bound = f", {column}__gte={amount}" if bounded else ""
        return f'{name} = {TABLES[table][0]}.objects.filter(id={key}{bound}).update({column}=F("{column}") - {amount})'

    def swap(self, name: str, table: str, column: str, old: str, new: str, key: str) -> str:
        """Write a number only where the old one still stands; `name` is how many rows it hit."""
        return f"{name} = {TABLES[table][0]}.objects.filter(id={key}, {column}={old}).update({column}={new})"

    def add(self, table: str, /, **values: str) -> str:
        """Add a row."""
        made = f"{TABLES[table][0]}.objects.create({', '.join(f'{name}={value}' for name, value in values.items())})"
        return f"with transaction.atomic():\n    {made}"

    def add_unless_there(self, made: str, table: str, /, **values: str) -> str:
        """Add a row where its unique key is free; `made` is how many were added."""
        return f"with transaction.atomic(), connection.cursor() as cur:\n    {self._inserted(table, values)}\n    {made} = cur.rowcount"

    def _inserted(self, table: str, values: dict[str, str]) -> str:
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))}) ON CONFLICT DO NOTHING"
        return f'cur.execute("{sql}", [{", ".join(values.values())}])'

    def add_below(self, name: str, most: int) -> str:
        """Add a booking where the guest has fewer than `most`, in one statement; `name` is how many were added."""
        sql = f"INSERT INTO bookings (guest, day) SELECT %s, %s WHERE (SELECT COUNT(*) FROM bookings WHERE guest = %s) < {most}"
        return f'with connection.cursor() as cur:\n    cur.execute("{sql}", [data["guest"], data["day"], data["guest"]])\n    {name} = cur.rowcount'

    def count(self, name: str, table: str, column: str, value: str) -> str:
        """How many rows have that value."""
        return f"{name} = {TABLES[table][0]}.objects.filter({column}={value}).count()"

    def handler(self, name: str, body: str, how: str = "") -> str:
        """A POST that runs the body; in a transaction where it begins one, and again where that may lose."""
        body = _answering(body)
        if how == "serializable":
            inner = f'with transaction.atomic():\n    with connection.cursor() as cur:\n        cur.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")\n{indent(body, "    ")}'
            body = f"for attempt in range(3):\n    try:\n{indent(inner, '        ')}\n    except {self.contention}:\n        continue\n{self.refuse(503)}"
        elif how:
            body = f"with transaction.atomic():\n{indent(body, '    ')}"
        apart = "@transaction.non_atomic_requests\n" if how == "serializable" and self.requests else ""
        return f'{apart}@csrf_exempt\n@require_http_methods(["POST"])\ndef {name}(request):\n    data = json.loads(request.body)\n{indent(body, "    ")}\n\nurlpatterns.append(path("{name}", {name}))\n'

    def reading(self, tables: tuple[str, ...]) -> str:
        """A GET that shows every table."""
        body = "\n".join(self.count(f"seen_{each}", each, "id", "1") for each in tables)
        shown = ", ".join(f'"{each}": seen_{each}' for each in tables)
        return f'def everything(request):\n{indent(body, "    ")}\n    return JsonResponse({{{shown}}})\n\nurlpatterns.append(path("all", everything))\n'

    def head(self, uniques: tuple[tuple[str, str], ...]) -> str:
        """Imports, the settings, the models, the tables."""
        more = (', "ATOMIC_REQUESTS": True' if self.requests else "") + (f', "OPTIONS": {self.opened}' if self.opened else "")
        statements = ",\n    ".join(f'"{each}"' for each in self.schema(uniques))
        there = "SELECT 1 FROM pg_tables WHERE tablename = 'payments'" if self.postgres else "SELECT name FROM sqlite_master WHERE name = 'payments'"
        return (
            "import json\nimport urllib.request\n\nimport django\nfrom django.conf import settings\n\n"
            f'settings.configure(SECRET_KEY="a-key-of-the-tests", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DATABASES={{"default": {_ENGINES[self.driver] % more}}}, DEFAULT_AUTO_FIELD="django.db.models.AutoField")\n'
            "django.setup()\n\nfrom django.core.wsgi import get_wsgi_application\nfrom django.db import IntegrityError, OperationalError, connection, models, transaction\nfrom django.db.models import F\n"
            "from django.http import JsonResponse\nfrom django.urls import path\nfrom django.views.decorators.csrf import csrf_exempt\nfrom django.views.decorators.http import require_http_methods\n\n"
            f"{self._models(uniques)}\nTABLES = [\n    {statements},\n]\n\n"
            f'with connection.cursor() as start:\n    start.execute("{there}")\n    if not start.fetchone():\n        for each in TABLES:\n            start.execute(each)\nconnection.close()\n\n'
            "urlpatterns = []\napplication = get_wsgi_application()\n"
        )

    def _models(self, uniques: tuple[tuple[str, str], ...]) -> str:
        made = ""
        for table, (kind, columns) in TABLES.items():
            made += f"class {kind}(models.Model):\n"
            made += "".join(f"    {name} = models.{_FIELDS[word]}{', unique=True' if (table, name) in uniques else ''})\n".replace("(, ", "(") for name, word in columns.items())
            made += f'\n    class Meta:\n        app_label = "shop"\n        db_table = "{table}"\n\n'
        return made


def _answering(body: str) -> str:
    """The body with dictionaries turned into answers."""
    lines = []
    for line in body.split("\n"):
        start, found, rest = line.partition("return {")
        lines.append(f"{start}return JsonResponse({{{rest})" if found and not start.strip() else line)
    return "\n".join(lines)


DJANGO = (
    Django("django, sqlite3", "django", "sqlite3", "django", opened='{"transaction_mode": "IMMEDIATE"}'),
    Django("django, psycopg2", "django", "psycopg2", "django"),
    Django("django, atomic requests, psycopg2", "django", "psycopg2", "django", requests=True),
)
