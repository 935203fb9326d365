"""Proves the settings that a wrapper or a file supplies, imports from folders without `__init__.py`, and roles in other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.survey import entries, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
WRAPPER = """
    import os


    class Settings:
        def __init__(self):
            self.secret = self.get_env_var(key="SECRET_KEY")
            self.name = self.get_env_var("SERVICE_NAME")
            self.place = self.find("PLACE")
            self.mode = self.find(key="MODE", default="quiet")

        def get_env_var(self, key: str) -> str:
            value = os.getenv(key=key)
            if value is None:
                raise ValueError(f"{key} is not there")
            return value

        def find(self, key, default=None):
            return os.environ.get(key, default)
    """
FLAGS = """
    import os


    def flag(key, default="0"):
        value = READ
        if value not in ("0", "1"):
            raise ValueError(f"{key} must be 0 or 1")
        return value == "1"


    def needed(key):
        value = os.getenv(key)
        if value is None:
            raise KeyError(key)
        return value


    OPEN = flag("SHOP_OPEN")
    OWNER = needed("SHOP_OWNER")
    """
FILED = """
    import os
    from dotenv import dotenv_values
    from flask import Flask

    settings = {**dotenv_values(".env"), **os.environ}
    plain = {"COLOUR": "red"}
    app = Flask(__name__)
    app.secret_key = settings["SECRET_KEY"]
    mode = settings.get("MODE", "quiet")
    place = settings.get("PLACE")
    colour = plain["COLOUR"]
    settings["ADDED"] = "x"
    """


def told(sources: Sources) -> dict[str, tuple[bool, str | None]]:
    """(required, default) of each variable."""
    return {each.name: (each.required, each.default) for each in survey(sources).environment}


def test_a_method_that_reads_a_variable_and_raises(project: Write) -> None:
    """Names given to a method that reads them, by keyword or by place, are variables; required where it raises, with the default that the call gives."""
    assert told(project({"main.py": FLASK, "settings.py": WRAPPER})) == {
        "SECRET_KEY": (True, None),
        "SERVICE_NAME": (True, None),
        "PLACE": (False, None),
        "MODE": (False, "quiet"),
    }


@pytest.mark.parametrize("read", ['os.getenv(key, "0")', 'os.getenv(key) or "0"', 'os.getenv(key=key, default="0")', 'os.environ.get(key, "0")', "os.getenv(key, default)"])
def test_a_wrapper_that_raises_for_wrong_values_requires_none(project: Write, read: str) -> None:
    """What a wrapper reads with a default of its own may be left out, though it raises for other values; what it reads without one may not."""
    found = told(project({"main.py": FLASK, "settings.py": FLAGS.replace("READ", read)}))
    assert {name: required for name, (required, _) in found.items()} == {"SHOP_OPEN": False, "SHOP_OWNER": True}


@pytest.mark.parametrize("read", ["os.getenv(key)", 'os.getenv(key, "")', 'os.environ.get(key, "").strip()', "os.environ.get(key, default)", "os.getenv(key, None)"])
def test_a_wrapper_that_raises_for_nothing_requires_its_variables(project: Write, read: str) -> None:
    """A default that stands for nothing is none: a wrapper that raises for it requires what the call supplies no other default for."""
    wrapper = f"import os\n\n\ndef need(key, default=None):\n    value = {read}\n    if not value:\n        raise ValueError(key)\n    return value\n\n\nOWNER = need('SHOP_OWNER')\n"
    assert {name: required for name, (required, _) in told(project({"main.py": FLASK, "settings.py": wrapper})).items()} == {"SHOP_OWNER": True}


def test_a_default_after_or_is_one_without_the_word_environ(project: Write) -> None:
    """`os.getenv(...) or "quiet"` has a default, whatever else the file speaks of."""
    assert told(project({"main.py": FLASK + "import os\nMODE = os.getenv('SHOP_MODE') or 'quiet'\n"})) == {"SHOP_MODE": (False, "quiet")}


def test_a_wrapper_of_another_class_is_another(project: Write) -> None:
    """A method of the same name on some other object reads no variable."""
    other = "from settings import Settings\nfrom shop import cart\ncart.get_env_var(key='APPLE')\n"
    assert "APPLE" not in told(project({"main.py": FLASK, "settings.py": WRAPPER, "shop.py": "cart = None\n", "use.py": other}))


def test_keys_of_a_file_that_is_read_by_hand(project: Write) -> None:
    """What is taken out of `dotenv_values` is a variable: required by subscript, with its default by `.get`; other dictionaries hold none."""
    assert told(project({"main.py": FILED})) == {"SECRET_KEY": (True, None), "MODE": (False, "quiet"), "PLACE": (False, None)}


ROUTES = "from fastapi import APIRouter\nrouter = APIRouter()\n\n\n@router.get('/x')\ndef x():\n    return 'x'\n"
RELATIVE = "from fastapi import FastAPI\nfrom .api import router\napp = FastAPI()\napp.include_router(router)\n"


@pytest.mark.parametrize(
    ("files", "root", "target"),
    [
        ({"app/app.py": RELATIVE, "app/api.py": ROUTES, "main1.py": "from app import app\nprint(app)\n"}, ".", "app.app:app"),
        ({"shop/app/app.py": RELATIVE.replace(".api", "..api"), "shop/api.py": ROUTES, "main1.py": "from shop.app import app\n"}, ".", "shop.app.app:app"),
        ({"backend/app/app.py": RELATIVE, "backend/app/api.py": ROUTES, "backend/main1.py": "from app import app\n"}, "backend", "app.app:app"),
        ({"app/app.py": RELATIVE.replace(".api", "api"), "app/api.py": ROUTES, "main1.py": "from app import app\n"}, "app", "app:app"),
    ],
    ids=["one", "two", "below", "absolute"],
)  # fmt: skip
def test_a_folder_is_a_package_without_saying_so(project: Write, files: dict[str, str], root: str, target: str) -> None:
    """An entry whose imports are relative is imported from above as far as they reach, though no folder has an `__init__.py`."""
    found = entries(project(files))[0]
    assert (found.import_root, found.target) == (root, target)
    assert [each.id for each in survey(project(files)).routes] == ["GET /x"]


@pytest.mark.parametrize(
    ("test", "role"),
    [
        ("user.cargo.lower() != 'gerente'", "gerente"),
        ("user['perfil'] == 'vendedor'", "vendedor"),
        ("user.get('tipo_usuario') not in ('chefe', 'dono')", "chefe dono"),
        ("user.cargador.lower() != 'rapido'", ""),
    ],
)
def test_roles_in_other_languages(project: Write, test: str, role: str) -> None:
    """What is compared with a role by its Portuguese, Spanish or German name is a role; a word that begins alike is none."""
    app = FLASK + f"\n\n@app.get('/')\ndef index():\n    user = load()\n    if {test}:\n        return 'no', 403\n    return 'yes'\n"
    assert list(survey(project({"main.py": app})).roles) == role.split()


@pytest.mark.parametrize(("asked", "required"), [('if "WEBSITE_HOSTNAME" in os.environ:', False), ('if os.environ["STAGE"] == "live":', True)], ids=["looked for", "relied on"])
def test_a_variable_that_is_looked_for_is_not_made_up(project: Write, asked: str, required: bool) -> None:  # noqa: FBT001 - a parameter
    """Where the source asks whether a variable is there, another file's reading of it behind that question makes it no need."""
    files = {
        "app.py": f"import os\nfrom flask import Flask\napp = Flask(__name__)\n{asked}\n    app.config.from_object('production')\n",
        "production.py": 'import os\nHOSTS = [os.environ["WEBSITE_HOSTNAME"]]\n',
    }
    found = {each.name: each.required for each in survey(project(files)).environment}
    assert found["WEBSITE_HOSTNAME"] is required


def test_two_variables_of_one_line(project: Write) -> None:
    """A field of pydantic's settings whose default is read from another variable: both are found, in an order."""
    text = "import os\nfrom pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    jobs: str = os.getenv('STORE', 'here')\nsettings = Settings()\n"
    assert {"STORE", "JOBS"} <= told(project({"main.py": FLASK + text})).keys()
