"""Proves tables, roles, environment, outbound hosts, secrets, tests and the kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.survey import survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

MAIN = "from fastapi import FastAPI\napp = FastAPI()\n"


def test_mapped_classes(project: Write) -> None:
    """Classic columns, mapped_column, mixins, enums, constraints, and names that Flask-SQLAlchemy makes up."""
    sources = project(
        {
            "main.py": MAIN,
            "models.py": """
                import enum
                from datetime import datetime
                from typing import Optional
                from flask_sqlalchemy import SQLAlchemy
                from sqlalchemy import CheckConstraint, Column, Enum, ForeignKey, Integer, String, UniqueConstraint
                from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

                db = SQLAlchemy()


                class Base(DeclarativeBase):
                    pass


                class Role(enum.Enum):
                    CHEF = "Chef"
                    GUEST = "Guest"


                class Stamped:
                    created: Mapped[datetime] = mapped_column(default=datetime.utcnow)


                class User(Stamped, Base):
                    __tablename__ = "users"
                    __table_args__ = (UniqueConstraint("name", "team"), CheckConstraint("team IN ('red', 'blue')"))
                    id: Mapped[int] = mapped_column(primary_key=True)
                    name: Mapped[str] = mapped_column(String(30), unique=True)
                    nick: Mapped[Optional[str]]
                    team: Mapped[str]
                    role: Mapped[Role] = mapped_column(Enum(Role), default=Role.GUEST)
                    posts: Mapped[list["BlogPost"]] = relationship()


                class BlogPost(db.Model):
                    id = db.Column(db.Integer, primary_key=True)
                    user_id = db.Column(db.Integer, ForeignKey("users.id"), nullable=False)
                    title = db.Column(db.String(80), nullable=False)
                """,
        }
    )
    blueprint = survey(sources)
    users, posts = blueprint.table("users"), blueprint.table("blog_post")
    assert users is not None
    assert posts is not None
    assert [each.name for each in users.columns] == ["created", "id", "name", "nick", "team", "role"]
    name, nick, team, role = (users.column(each) for each in ("name", "nick", "team", "role"))
    assert name is not None
    assert (name.type, name.nullable, name.unique, name.max_length) == ("string", False, True, 30)
    assert nick is not None
    assert nick.nullable
    assert team is not None
    assert team.enum == ("red", "blue")
    assert role is not None
    assert (role.enum, role.has_default) == (("CHEF", "GUEST"), True)
    assert ("name", "team") in users.uniques
    assert (users.model, users.location is not None and users.location.file) == ("User", "models.py")
    owner = posts.column("user_id")
    assert owner is not None
    assert (owner.references, owner.nullable) == (("users", "id"), False)
    assert blueprint.roles == ("Chef", "Guest")


def test_sqlmodel(project: Write) -> None:
    """Only classes with table=True are tables; the field calls give keys and references."""
    sources = project(
        {
            "main.py": MAIN,
            "models.py": """
                from sqlmodel import Field, SQLModel


                class HeroBase(SQLModel):
                    name: str = Field(index=True, unique=True)
                    team_id: int | None = Field(default=None, foreign_key="team.id")


                class Hero(HeroBase, table=True):
                    id: int | None = Field(default=None, primary_key=True)


                class HeroCreate(HeroBase):
                    secret: str
                """,
        }
    )
    tables = survey(sources).tables
    assert [each.name for each in tables] == ["hero"]
    columns = {each.name: each for each in tables[0].columns}
    assert (columns["id"].primary_key, columns["id"].has_default) == (True, True)
    assert columns["team_id"].references == ("team", "id")
    assert columns["name"].unique


def test_ddl(project: Write) -> None:
    """CREATE TABLE in strings and .sql files of three dialects; what cannot be read hides nothing else."""
    sources = project(
        {
            "main.py": MAIN
            + "SQL = '''CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER,\n"
            "  body TEXT NOT NULL, FOREIGN KEY (owner) REFERENCES users(id))'''\n",
            "schema.sql": """
                CREATE TABLE broken (((;
                CREATE TABLE users (id SERIAL PRIMARY KEY, name VARCHAR(30) NOT NULL UNIQUE, made TIMESTAMPTZ DEFAULT now(),
                    role TEXT DEFAULT 'user' CHECK (role IN ('user', 'admin')));
                CREATE TABLE carts (user_id INT REFERENCES users(id), sku TEXT, n INTEGER, PRIMARY KEY (user_id, sku));
                CREATE UNIQUE INDEX carts_n ON carts (n, sku);
                """,
            "my.sql": "CREATE TABLE `t` (`id` int NOT NULL AUTO_INCREMENT, `kind` enum('a','b'), PRIMARY KEY (`id`)) ENGINE=InnoDB;",
        }
    )
    blueprint = survey(sources)
    assert {each.name for each in blueprint.tables} == {"notes", "users", "carts", "t"}
    notes, users, carts, mysql = (blueprint.table(name) for name in ("notes", "users", "carts", "t"))
    assert notes is not None
    assert [(each.name, each.references, each.nullable) for each in notes.columns] == [
        ("id", None, False), ("owner", ("users", "id"), True), ("body", None, False),
    ]  # fmt: skip
    assert users is not None
    role, made = users.column("role"), users.column("made")
    assert role is not None
    assert (role.enum, role.has_default) == (("user", "admin"), True)
    assert made is not None
    assert made.type == "datetime"
    assert carts is not None
    assert ("n", "sku") in carts.uniques
    assert {each.name for each in carts.columns if each.primary_key} == {"user_id", "sku"}
    assert mysql is not None
    kind = mysql.column("kind")
    assert kind is not None
    assert kind.enum == ("a", "b")
    assert set(blueprint.roles) == {"user", "admin"}


def test_environment(project: Write) -> None:
    """Subscripts are required; defaults by argument, by `or`, by settings class, and through the project's own helper."""
    sources = project(
        {
            "main.py": MAIN
            + """
import os
from decouple import config
from pydantic import Field
from pydantic_settings import BaseSettings

A = os.environ["NEEDED"]
B = os.getenv("MAYBE")
C = os.environ.get("PORT", "8000")
D = os.environ.get("URL") or "sqlite:///x.db"
E = config("DECOUPLED")


class Settings(BaseSettings):
    model_config = {}
    database_url: str
    debug: bool = False
    stripe: str = Field(..., alias="STRIPE_KEY")


def env(name, default=None):
    return os.environ.get(name, default)


F = env("WRAPPED", "yes")
"""
        }
    )
    found = {each.name: (each.required, each.default) for each in survey(sources).environment}
    assert found == {
        "NEEDED": (True, None), "MAYBE": (False, None), "PORT": (False, "8000"), "URL": (False, "sqlite:///x.db"),
        "DECOUPLED": (True, None), "DATABASE_URL": (True, None), "DEBUG": (False, "False"), "STRIPE_KEY": (True, None),
        "WRAPPED": (False, "yes"),
    }  # fmt: skip


def test_outbound(project: Write) -> None:
    """Literal hosts, f-strings, constants and sessions; a host that is computed is None; urllib.parse calls nobody."""
    sources = project(
        {
            "main.py": MAIN
            + """
import smtplib
from urllib.parse import urlencode
import httpx
import requests

BASE = "https://api.example.com/v1"


def one(x):
    requests.get(f"{BASE}/things/{x}", timeout=3)


async def two():
    async with httpx.AsyncClient() as client:
        await client.post("https://pay.example.org/charge")


def three(url):
    requests.post(url)
    urlencode({"a": 1})
    smtplib.SMTP("smtp.example.net", 25)
"""
        }
    )
    found = {(each.host, each.client, each.location.function) for each in survey(sources).outbound}
    assert found == {
        ("api.example.com", "requests", "one"), ("pay.example.org", "httpx", "two"), (None, "requests", "three"),
        ("smtp.example.net", "smtplib", "three"),
    }  # fmt: skip


def test_secrets_are_never_shown_whole(project: Write) -> None:
    """Names that protect something and a provider's form; labels, paths, templates and tests are none."""
    key = "sk_live_" + "0123456789abcdef0123"
    sources = project(
        {
            "main.py": MAIN
            + f"""
import jwt
SECRET_KEY = "mysecretkey"
app.secret_key = "another-secret"
stripe = "{key}"
CONFIG = {{"JWT_SECRET_KEY": "jwt-secret-value"}}
token = jwt.encode({{}}, "inline-key", algorithm="HS256")
PASSWORD = "password"
TOKEN_URL = "/token"
CACHE_KEY = "user:list"
PRIMARY_KEY = "id"
API_KEY = "{{key}}"
""",
            "test_x.py": "SECRET_KEY = 'in-a-test'\n",
        }
    )
    found = survey(sources).secrets
    assert [(each.name, each.location.line) for each in found] == [
        ("SECRET_KEY", 5), ("secret_key", 6), ("literal", 7), ("JWT_SECRET_KEY", 8), ("jwt key", 9),
    ]  # fmt: skip
    assert found[0].shown == "mys... (11 characters)"
    assert all("secretkey" not in each.shown and key not in each.shown for each in found)


def test_secrets_whose_names_say_what_they_sign(project: Write) -> None:
    """`SECRET_KEY_HMAC`, `SECRET_COOKIE_KEY` and keys in camel case are keys; the name of a file or variable that holds one is none."""
    sources = project(
        {
            "main.py": MAIN
            + """
app.config["SECRET_KEY_HMAC"] = "secret"
app.config["SECRET_KEY_HMAC_2"] = "am0r3C0mpl3xK3y"
SECRET_COOKIE_KEY = "COOKIES"
META = {"SecretAccessKey": "wJalrXUtnFEMIK7MDENGbPxRfiCY"}
SECRET_KEY_FILE = "secret.txt"
SECRET_KEY_LENGTH = "32"
"""
        }
    )
    assert [each.name for each in survey(sources).secrets] == ["SECRET_KEY_HMAC", "SECRET_KEY_HMAC_2", "SECRET_COOKIE_KEY", "SecretAccessKey"]


def test_secrets_are_not_in_the_cached_facts(project: Write) -> None:
    """The cache must not become a list of secrets."""
    sources = project({"main.py": MAIN + 'SECRET_KEY = "correct-horse-battery"\n'})
    assert "horse" not in str(sources.facts["main.py"].as_json())


def test_suite(project: Write) -> None:
    """Test functions and methods are counted in files that hold tests; conftest and helpers are none."""
    sources = project(
        {
            "main.py": MAIN,
            "tests/test_a.py": "def test_one():\n    assert True\n\n\nclass TestX:\n    def test_two(self):\n        pass\n",
            "tests/conftest.py": "import pytest\n",
            "helpers.py": "def test_connection():\n    pass\n",
        }
    )
    suite = survey(sources).suite
    assert (suite.files, suite.tests, suite.runner) == (("tests/test_a.py",), 2, "pytest")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("URL = 'postgresql+asyncpg://u:p@h/db'\n", "postgresql"),
        ("import sqlite3\n", "sqlite"),
        ("import pymysql\n", "mysql"),
        ("ITEMS = {}\n\n\n@app.post('/x')\ndef add(k: str):\n    ITEMS[k] = 1\n", "memory"),
        (
            "ITEMS = []\n\n\ndef keep(x):\n    ITEMS.append(x)\n\n\n@app.post('/x')\ndef add(k: str):\n    keep(k)\n",
            "memory",
        ),
        ("ITEMS = {}\n\n\n@app.get('/x')\ndef show(k: str):\n    return ITEMS[k]\n", None),
    ],
)
def test_kind_of_database(project: Write, text: str, kind: str | None) -> None:
    """URLs first, then drivers; memory only where a handler writes a module-level collection."""
    assert survey(project({"main.py": MAIN + text})).database == kind
