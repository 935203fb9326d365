"""Proves that the application object is found, and that a wrong --app is told apart from a right one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.errors import ConfigurationError, SurveyError
from toughen.survey import entries, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

FLASK = "from flask import Flask\napp = Flask(__name__)\n\n\n@app.get('/')\ndef index():\n    return 'x'\n"


def test_what_a_procfile_names_wins(project: Write) -> None:
    """Two objects of equal rank: the one that starts in production is the prototype."""
    found = entries(project({"one.py": FLASK, "two.py": FLASK, "Procfile": "web: gunicorn -w 2 two:app\n"}))
    assert [each.target for each in found] == ["two:app", "one:app"]
    assert "Procfile" in found[0].reason
    assert not found[0].tied


def test_equals_are_tied(project: Write) -> None:
    """Nothing tells two objects apart: the report must ask."""
    found = entries(project({"one.py": FLASK, "two.py": FLASK}))
    assert found[0].tied
    assert found[0].alternatives == ("two:app",)


def test_an_object_made_by_a_factory_wins_over_the_factory(project: Write) -> None:
    """`app = start()` is the application even where another file defines start()."""
    found = entries(
        project(
            {
                "wsgi.py": "from pkg import start\napp = start()\n",
                "pkg/__init__.py": "from .core import start\n",
                "pkg/core.py": (
                    "from flask import Flask\n\n\ndef start(mode='dev'):\n"
                    "    application = Flask(__name__)\n    return application\n"
                ),
            }
        )
    )
    assert [each.target for each in found] == ["wsgi:app", "pkg.core:start()"]


def test_a_factory_that_needs_arguments_is_no_candidate(project: Write) -> None:
    """Nobody could call it for us."""
    with pytest.raises(SurveyError) as raised:
        entries(project({"core.py": "from flask import Flask\n\n\ndef make(config):\n    return Flask(config)\n"}))
    assert "1 Python files" in raised.value.hint


@pytest.mark.parametrize(
    ("files", "root", "target"),
    [
        ({"src/shop/__init__.py": "", "src/shop/app.py": "from shop.db import x\n" + FLASK, "src/shop/db.py": "x = 1\n"}, "src", "shop.app:app"),
        ({"backend/app.py": "import models\n" + FLASK, "backend/models.py": "x = 1\n"}, "backend", "app:app"),
        ({"app/__init__.py": "", "app/main.py": "from .db import x\n" + FLASK, "app/db.py": "x = 1\n"}, ".", "app.main:app"),
        ({"backend/app/__init__.py": "", "backend/app/main.py": "from app.db import x\n" + FLASK, "backend/app/db.py": "x = 1\n"}, "backend", "app.main:app"),
    ],
)  # fmt: skip
def test_imports_start_where_they_resolve(project: Write, files: dict[str, str], root: str, target: str) -> None:
    """src layouts, a backend folder, a package: the import root is the folder under which the imports resolve."""
    found = entries(project(files))[0]
    assert (found.import_root, found.target) == (root, target)


@pytest.mark.parametrize("app", ["two:app", "two.py:app", "./two.py:app"])
def test_app_overrides(project: Write, app: str) -> None:
    """--app names the module or the file."""
    blueprint = survey(project({"one.py": FLASK, "two.py": FLASK.replace("'/'", "'/two'")}), app=app)
    assert blueprint.entry is not None
    assert blueprint.entry.target == "two:app"
    assert [each.id for each in blueprint.routes] == ["GET /two"]


@pytest.mark.parametrize(
    "app", ["one", "one:", "one:nothing", "three:app", "../x.py:app", "one:app; import os", ":app"]
)
def test_a_bad_app_is_refused_with_the_candidates(project: Write, app: str) -> None:
    """The error lists what could have been meant."""
    with pytest.raises(ConfigurationError) as raised:
        survey(project({"one.py": FLASK}), app=app)
    assert "one:app" in raised.value.hint


def test_connexion_is_found_where_it_is_run(project: Write) -> None:
    """The file that imports the application and runs it is the entry, and its specification gives the routes."""
    sources = project(
        {
            "app.py": "from config import vuln\n\nif __name__ == '__main__':\n    vuln.run(port=1)\n",
            "config.py": (
                "import connexion\nvuln = connexion.App(__name__, specification_dir='./specs')\n"
                "vuln.add_api('api.yml')\n"
            ),
            "views.py": "def show(name):\n    return name\n\n\ndef add(body):\n    return body['size']\n",
            "specs/api.yml": """
                openapi: 3.0.1
                servers:
                - url: /v1
                paths:
                  /pets/{name}:
                    get:
                      operationId: views.show   # the handler
                      parameters:
                      - {name: name, in: path, required: true, schema: {type: string, example: "rex"}}
                  /pets:
                    post:
                      operationId: views.add
                      requestBody:
                        content:
                          application/json:
                            schema:
                              $ref: '#/components/schemas/Pet'
                components:
                  schemas:
                    Pet:
                      type: object
                      required: [name]
                      properties:
                        name: {type: string, maxLength: 20}
                        age:
                          type: integer
                          minimum: 0
                """,
        }
    )
    blueprint = survey(sources)
    assert blueprint.framework == "connexion"
    assert blueprint.entry is not None
    assert blueprint.entry.target == "app:vuln"
    assert [each.id for each in blueprint.routes] == ["GET /v1/pets/{name}", "POST /v1/pets"]
    shown, added = blueprint.routes
    assert shown.handler.line == 1
    assert shown.parameters[0].example == "rex"
    told = {each.path: (each.type, each.required, each.max_length, each.minimum) for each in added.parameters}
    assert told[("name",)] == ("string", True, 20, None)
    assert told[("age",)] == ("integer", False, None, 0)
    assert ("size",) in told


def test_the_root_is_a_package(project: Write) -> None:
    """Relative imports that reach the root make it a package, called what its paths call it."""
    files = {"main.py": "from fastapi import FastAPI\nfrom .store import X\napp = FastAPI()\nPLACE = 'shop/static'\n", "store.py": "X = 1\n", "__init__.py": "", "static/__init__.py": ""}
    entry = survey(project(files)).entry
    assert entry is not None
    assert (entry.target, entry.package, entry.import_root) == ("shop.main:app", "shop", ".")


def test_a_root_that_its_modules_call_by_name(project: Write) -> None:
    """A name under which every import finds a module of the root, and that no folder bears, is the root's."""
    text = "from fastapi import FastAPI\nfrom shop.store import X\nfrom shop.more import Y\napp = FastAPI()\n"
    entry = survey(project({"main.py": text, "store.py": "X = 1\n", "more.py": "Y = 1\n"})).entry
    assert entry is not None
    assert entry.target == "shop.main:app"


def test_a_folder_called_like_a_library_is_not_the_library(project: Write) -> None:
    """A project that lies in a folder `fastapi` is still a FastAPI application, started from within that folder."""
    text = "from fastapi import FastAPI\nfrom models import X\napp = FastAPI()\n"
    entry = survey(project({"fastapi/__init__.py": "", "fastapi/models.py": "X = 1\n", "fastapi/main.py": text})).entry
    assert entry is not None
    assert (entry.target, entry.import_root) == ("main:app", "fastapi")
