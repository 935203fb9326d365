"""Variables of modules that hold what the business owns, as the source says."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

from toughen.memories import stores
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path


def found(root: Path, **files: str) -> dict[str, tuple[list[str], list[str]]]:
    """Who writes and who reads each variable."""
    for name, text in files.items():
        (root / f"{name}.py").write_text(dedent(text))
    sources = read(root)
    return {each.name: (list(each.writers), list(each.readers)) for each in stores(survey(sources), sources.texts)}


def test_a_list_is_found_through_helpers_and_modules(tmp_path: Path) -> None:
    """It may lie in another file, and be written by a function there."""
    shop = """
        carts = {}
        LIMIT = 5

        def keep(user, item):
            carts.setdefault(user, []).append(item)
    """
    main = """
        import shop
        from shop import carts
        from fastapi import FastAPI
        app = FastAPI()

        @app.post("/carts/{user}")
        def put(user: str, item: str):
            shop.keep(user, item)
            return {"ok": True}

        @app.get("/carts/{user}")
        def show(user: str):
            return carts.get(user, [])
    """
    assert found(tmp_path, shop=shop, main=main) == {"carts": (["POST /carts/{user}"], ["GET /carts/{user}"])}


def test_what_is_kept_elsewhere_or_of_its_own_is_none(tmp_path: Path) -> None:
    """A local name, a cache, a constant, what only a GET fills, and what goes into a database as well."""
    main = """
        import sqlite3
        from flask import Flask, jsonify, request
        app = Flask(__name__)
        items, cache, seen, SIZE = [], {}, {}, 3
        cache = {}
        seen = {}
        rows = []
        known = []

        @app.post("/a")
        def a():
            items = []
            items.append(1)
            cache["a"] = 1
            return jsonify(items)

        @app.post("/b")
        def b():
            with sqlite3.connect("x.db") as db:
                db.execute("INSERT INTO t VALUES (1)")
            rows.append(1)
            return jsonify(ok=True)

        @app.get("/c")
        def c():
            known.append(1)
            return jsonify(rows + known + list(cache))
    """
    assert found(tmp_path, main=main) == {}


def test_what_a_function_hands_out_is_the_variable_behind_it(tmp_path: Path) -> None:
    """An object that a function of another file returns is that file's variable, also where a type's name says who is asked."""
    store = """
        class Repo:
            def __init__(self):
                self.items = []

            def create(self, text):
                self.items.append(text)

            def all(self):
                return self.items

        repo = Repo()
        other = Repo()

        def get_repo():
            return repo
    """
    main = """
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from store import Repo, get_repo
        app = FastAPI()
        Kept = Annotated[Repo, Depends(get_repo)]

        @app.post("/items")
        def add(text: str, kept: Kept):
            kept.create(text)

        @app.get("/items")
        def items(kept: Kept):
            return kept.all()
    """
    assert found(tmp_path, store=store, main=main) == {"repo": (["POST /items"], ["GET /items"])}


def test_a_function_that_makes_one_for_each_is_no_variable(tmp_path: Path) -> None:
    """Where every request gets an object of its own, nothing is kept."""
    main = """
        from fastapi import Depends, FastAPI
        app = FastAPI()

        class Repo:
            def __init__(self):
                self.items = []

            def create(self, text):
                self.items.append(text)

        def get_repo():
            return Repo()

        @app.post("/items")
        def add(text: str, repo: Repo = Depends(get_repo)):
            repo.create(text)

        @app.get("/items")
        def items(repo: Repo = Depends(get_repo)):
            return repo.items
    """
    assert found(tmp_path, main=main) == {}
