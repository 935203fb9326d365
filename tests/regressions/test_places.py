"""Where tests stand, and what they stand on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import specimens
from specimens import MENDED

from toughen.model.blueprint import Blueprint, Entry, EnvironmentVariable, Suite
from toughen.model.source import Location
from toughen.regressions import Known, grounds, place_of


def standing(files: dict[str, str], framework: str = "flask", target: str = "app:app", **rest: object) -> Known:
    given: dict[str, object] = {"database": "sqlite", **rest}
    return Known(Blueprint("shop", framework, Entry(target, "app.py", "named app", framework), **given), files)  # type: ignore[arg-type]


def test_the_file_lies_where_the_projects_tests_lie() -> None:
    """Beside the project's own tests, or in `tests/` where it has none."""
    known = specimens.known(MENDED)
    assert place_of(known.blueprint) == "tests/test_hardened.py"
    assert place_of(replace(known.blueprint, suite=Suite(("test_main.py",), 1))) == "test_hardened.py"
    assert place_of(replace(known.blueprint, suite=Suite(("api/tests/test_a.py", "api/tests/test_b.py", "test_c.py"), 3))) == "api/tests/test_hardened.py"


def test_a_database_beside_the_source_is_led_away() -> None:
    """A file named by `__file__`, and Flask-SQLAlchemy's instance folder, would be the user's own: every file is opened in the test's folder instead."""
    named = standing({"app.py": "import os, sqlite3\nfrom flask import Flask\napp = Flask(__name__)\nDB = os.path.join(os.path.dirname(__file__), 'shop.db')\nsqlite3.connect(DB)\n"})
    relative = standing({"app.py": "import sqlite3\nfrom flask import Flask\napp = Flask(__name__)\nsqlite3.connect('shop.db')\n"})
    assert [each.kind for each in grounds(named)] == ["elsewhere", "beside"]  # type: ignore[union-attr]
    assert [each.kind for each in grounds(relative)] == ["beside", "elsewhere"]  # type: ignore[union-attr]


def test_a_server_is_nobodys_to_write_to() -> None:
    """A project on PostgreSQL whose tests have no client gets none that would open the developer's own database."""
    told = grounds(standing({"app.py": "import psycopg2\n"}, database="postgresql"))
    assert isinstance(told, str)
    assert "postgresql" in told


def test_variables_that_it_stops_without_are_set() -> None:
    """What the mended code demands and what says where the database lies is set by the fixture, whatever the machine has."""
    place = Location("app.py", 1)
    variables = (EnvironmentVariable("DATABASE_URL", required=False, default="sqlite:///x.db", location=place), EnvironmentVariable("STRIPE_KEY", required=True, default=None, location=place))
    known = replace(standing({"app.py": ""}, environment=variables), demands=("SECRET_KEY",))
    [ground, _] = grounds(known)
    assert """setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'test.db'}")""" in ground.text  # type: ignore[union-attr]
    assert 'setenv("STRIPE_KEY"' in ground.text  # type: ignore[union-attr]
    assert 'setenv("SECRET_KEY"' in ground.text  # type: ignore[union-attr]


def test_tables_come_to_be_as_the_project_makes_them() -> None:
    """What the main block does before it serves is done by the fixture, and no server is started."""
    source = "from flask import Flask\napp = Flask(__name__)\n\ndef init_db():\n    pass\n\nif __name__ == '__main__':\n    init_db()\n    app.run(debug=True)\n"
    known = replace(standing({"app.py": source}), steps=("main_block",))
    [ground, _] = grounds(known)
    assert "    from app import app, init_db\n\n    init_db()\n    yield app.test_client()" in ground.text  # type: ignore[union-attr]
    assert "app.run" not in ground.text  # type: ignore[union-attr]


def test_an_application_that_is_only_taken_comes_from_where_it_is_made() -> None:
    """Where two modules import each other, the one that makes the application is imported first."""
    known = standing({"app.py": "from config import vuln_app\n", "config.py": "import connexion\nvuln_app = connexion.App(__name__)\n"}, "connexion", "app:vuln_app")
    [ground, _] = grounds(known)
    assert "from config import vuln_app\n    import app  # what it adds to it" in ground.text  # type: ignore[union-attr]
    assert "yield vuln_app.app.test_client()" in ground.text  # type: ignore[union-attr]


def test_django_gets_a_class_of_its_own(tmp_path: Path) -> None:
    """A TestCase of Django's, with users that Django makes and logs in, run by `manage.py test`: it passes where the view refuses, and fails where it does not."""
    settings = "SECRET_KEY = 'x' * 60\nROOT_URLCONF = 'urls'\nINSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions']\nMIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware', 'django.contrib.auth.middleware.AuthenticationMiddleware']\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\nSECURE_SSL_REDIRECT = True\n"
    urls = "from django.http import JsonResponse\nfrom django.urls import path\n\ndef clear(request):\n    if {guard}:\n        return JsonResponse({{}}, status=403)\n    return JsonResponse({{'cleared': True}})\n\nurlpatterns = [path('notes', clear)]\n"
    manage = "import os\nimport sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    files = {"settings.py": settings, "manage.py": manage, "urls.py": urls.format(guard="not request.user.is_staff")}
    plain = specimens.known(files)
    people = tuple(replace(each, table="auth_user", row={"id": each.row["id"], "username": each.row["username"], "is_staff": each.kind == "admin"}, login=None, header=None) for each in plain.identities)
    blueprint = replace(plain.blueprint, framework="django", entry=Entry("settings:application", "manage.py", "manage.py", "django"), environment=())
    known = replace(plain, blueprint=blueprint, identities=people)
    assert place_of(blueprint) == "test_hardened.py"
    text = specimens.file_of(known, specimens.STRANGER)
    assert "@override_settings(SECURE_SSL_REDIRECT=False)\nclass HardenedTest(TestCase):" in text
    assert "pytest" not in text
    for name, guard, code in (("mended", "not request.user.is_staff", 0), ("broken", "False", 1)):
        root = tmp_path / name
        root.mkdir()
        for file, content in {**files, "urls.py": urls.format(guard=guard), "test_hardened.py": text}.items():
            (root / file).write_text(content)
        done = subprocess.run([sys.executable, "manage.py", "test", "test_hardened"], cwd=root, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert "Ran 1 test" in done.stderr
