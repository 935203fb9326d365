"""Claims about what is put into Django projects: the settings in force are found, their lists get one more line, and what is installed works."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from toughen import middleware
from toughen.codemod.module import UnmendableError
from toughen.samples import desk
from toughen.survey import read, survey
from toughen.templates import health, idempotency, observability

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toughen.model.blueprint import Blueprint

BOTH = ("/healthz", "/readyz")


def surveyed(root: Path, files: Mapping[str, str]) -> tuple[Blueprint, Mapping[str, str]]:
    """A project's blueprint and its sources."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sources = read(root)
    return survey(sources), sources.texts


def changes(wiring: middleware.Installation) -> dict[str, str]:
    """The files that an installation changes, as they are then."""
    return {each.file: each.after for each in wiring.patch("id", "Do it", "").changes}


def test_middleware_stands_first_or_last(tmp_path: Path) -> None:
    """A line of its own in the list, in the file's quotes; the module lies beside the root URLconf."""
    blueprint, sources = surveyed(tmp_path, desk.BOOKINGS)
    app = middleware.middleware(blueprint, sources)
    assert app is not None
    wiring = middleware.Installation(blueprint, sources, app)
    assert wiring.place(("health", "probes"), "x = 1\n") == "office.health"
    wiring.stand("office.health.Probe")
    wiring.stand("office.logs.Log", first=True)
    text = changes(wiring)["office/settings.py"]
    assert 'MIDDLEWARE = [\n    "office.logs.Log",\n    "django.middleware.security.SecurityMiddleware",\n' in text
    assert '    "django.contrib.messages.middleware.MessageMiddleware",\n    "office.health.Probe",\n]\n' in text


def test_settings_are_found_behind_a_star(tmp_path: Path) -> None:
    """Settings of a folder take their list from a base; the base gets the line."""
    files = dict(desk.BOOKINGS)
    files["office/settings/base.py"] = files.pop("office/settings.py")
    files["office/settings/__init__.py"] = ""
    files["office/settings/local.py"] = "from .base import *\n\nDEBUG = True\nALLOWED_HOSTS = []\n"
    files = {name: text.replace("office.settings", "office.settings.local") for name, text in files.items()}
    blueprint, sources = surveyed(tmp_path, files)
    app = middleware.middleware(blueprint, sources)
    assert app is not None
    assert app.module.file == "office/settings/base.py"
    found = middleware.urlconf(blueprint, sources)
    assert found is not None
    assert found.module.file == "office/urls.py"


def test_paths_stand_in_front(tmp_path: Path) -> None:
    """A pattern that takes everything does not take them; lists that are added to are known."""
    urls = desk.BOOKINGS["office/urls.py"].replace("from django.urls import include, path", "from django.conf.urls.static import static\nfrom django.urls import include, path") + ' + static("/media/", document_root="media")\n'
    blueprint, sources = surveyed(tmp_path, {**desk.BOOKINGS, "office/urls.py": urls.replace("]\n +", "] +")})
    app = middleware.urlconf(blueprint, sources)
    assert app is not None
    wiring = middleware.Installation(blueprint, sources, app)
    wiring.place(("health",), "x = 1\n")
    wiring.answer(['path("healthz", {}.healthz)', 'path("readyz", {}.readyz)'])
    assert 'urlpatterns = [\n    path("healthz", health.healthz),\n    path("readyz", health.readyz),\n    path("", include("rooms.urls")),\n] + static(' in changes(wiring)["office/urls.py"]


def test_what_is_put_together_is_left_alone(tmp_path: Path) -> None:
    """A list that a function makes is no list that a line can be put into."""
    blueprint, sources = surveyed(tmp_path, {**desk.BOOKINGS, "office/urls.py": "from django.urls import include, path\n\n\ndef made():\n    return [path('', include('rooms.urls'))]\n\n\nurlpatterns = made()\n"})
    app = middleware.urlconf(blueprint, sources)
    assert app is not None
    wiring = middleware.Installation(blueprint, sources, app)
    wiring.place(("health",), "x = 1\n")
    with pytest.raises(UnmendableError, match="put together"):
        wiring.answer(['path("healthz", {}.healthz)'])


def test_whom_django_mails(tmp_path: Path) -> None:
    """Without administrators nobody is mailed."""
    assert middleware.nobody_mailed(*surveyed(tmp_path / "none", desk.UNHEARD))
    assert not middleware.nobody_mailed(*surveyed(tmp_path / "logs", desk.LOGGED))
    settings = desk.UNHEARD["office/settings.py"] + 'ADMINS = [("Ann", "ann@example.com")]\n'
    assert not middleware.nobody_mailed(*surveyed(tmp_path / "named", {**desk.UNHEARD, "office/settings.py": settings}))


_RUN = """
import os, sys
import django
from django.conf import settings
settings.configure(DEBUG=False, SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="served", MIDDLEWARE={middleware!r}, DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}})
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
"""
_SERVED = """
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
import json
done = []

@csrf_exempt
def orders(request):
    amount = json.loads(request.body)["amount"]
    if amount < 0:
        return JsonResponse({"error": "too little"}, status=400)
    done.append(amount)
    return JsonResponse({"number": len(done)}, status=201)

def broken(request):
    raise RuntimeError("the reason")

urlpatterns = [path("orders/", orders), path("broken/", broken)]
"""


def run(folder: Path, module: str, text: str, middleware: list[str], script: str) -> str:
    """What a script prints that talks to a project with that module in it."""
    (folder / f"{module}.py").write_text(text)
    (folder / "served.py").write_text(_SERVED)
    (folder / "run.py").write_text(_RUN.format(middleware=middleware) + script)
    done = subprocess.run([sys.executable, "run.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("key", ["header idempotency_key", "json reference"])
def test_a_key_is_done_once(tmp_path: Path, key: str) -> None:
    """The second request with a key is answered as the first; another body is refused, a refused one may come again, and one without a key passes."""
    script = f"""
def post(key, amount):
    body = {{"amount": amount, **({{"reference": key}} if key and {key.startswith("json")} else {{}})}}
    more = {{"HTTP_IDEMPOTENCY_KEY": key}} if key and {key.startswith("header")} else {{}}
    answer = client.post("/orders/", body, content_type="application/json", **more)
    return answer.status_code, answer.json().get("number"), answer.get("Idempotency-Replayed", "")
print([post("one", 5), post("one", 5), post("one", 6), post("two", -1), post("two", -1), post("two", 7), post("", 5), post("", 5)])
"""
    said = run(tmp_path, "keys", idempotency.django(key), ["keys.Idempotency"], script)
    assert said.strip() == "[(201, 1, ''), (201, 1, 'true'), (422, None, ''), (400, None, ''), (400, None, ''), (201, 2, ''), (201, 3, ''), (201, 4, '')]"


@pytest.mark.parametrize("structlog", [True, False])
def test_an_error_is_one_line(tmp_path: Path, *, structlog: bool) -> None:
    """One line of JSON says why, with the id that was sent and is answered; Django's own record does not say it again."""
    script = """
answer = client.get("/broken/", HTTP_X_REQUEST_ID="told-by-the-proxy")
print(answer.status_code, answer["X-Request-ID"])
"""
    said = run(tmp_path, "logs", observability.module(flask=False, structlog=structlog, django=True), ["logs.RequestLog"], script).splitlines()
    assert said[-1] == "500 told-by-the-proxy"
    assert len(said) == 2
    assert all(each in said[0] for each in ('"event": "request_failed"', '"request_id": "told-by-the-proxy"', '"level": "error"', "the reason", '"path": "/broken/"'))


def test_ready_as_long_as_the_database_answers(tmp_path: Path) -> None:
    """Alive whatever happens; what is without a database needs none."""
    script = """
from django.test import RequestFactory
import probes
from django.db import connection
ask = RequestFactory().get("/")
print(probes.healthz(ask).status_code, probes.readyz(ask).status_code)
settings.DATABASES["default"]["NAME"] = "/nowhere/db.sqlite3"
print(probes.healthz(ask).status_code, probes.readyz(ask).status_code)
"""
    assert run(tmp_path, "probes", health.django("connection", BOTH), [], script).split() == ["200", "200", "200", "503"]
    text = health.django("", BOTH)
    compile(text, "health.py", "exec")
    assert "connection" not in text
    assert "healthz" not in health.django("", ("/readyz",)).split('"""')[2]
