"""Proves how a project says that it is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.model.blueprint import Start
from toughen.survey.starting import starts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

MAIN = 'from flask import Flask\napp = Flask(__name__)\nif __name__ == "__main__":\n    app.run(debug=True)\n'


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("Procfile", "web: gunicorn main:app\n", [Start("server", "Procfile")]),
        ("Dockerfile", 'FROM python:3.11\nRUN pip install gunicorn\nCMD ["python", "main.py"]\n', [Start("script", "Dockerfile", "main.py")]),
        ("Dockerfile", 'ENTRYPOINT ["python"]\nCMD ["main.py"]\n', [Start("script", "Dockerfile", "main.py")]),
        ("Dockerfile", "HEALTHCHECK CMD python check.py\nCMD uvicorn main:app --host 0.0.0.0\n", [Start("server", "Dockerfile")]),
        ("docker-compose.yml", "services:\n  web:\n    command: flask run --host 0.0.0.0\n    environment:\n      FLASK_DEBUG: 1\n", [Start("flask", "docker-compose.yml", debug=True)]),
        ("start.sh", "flask --app main --debug run\n", [Start("flask", "start.sh", debug=True)]),
        ("start.sh", "export FLASK_APP=main\nflask run\n", [Start("flask", "start.sh")]),
        ("run.sh", "# gunicorn main:app\npython3 -u main.py\n", [Start("script", "run.sh", "main.py")]),
        ("README.md", "Run `gunicorn main:app`.\n", [Start("script", "main.py", "main.py")]),
    ],
)
def test_what_the_files_beside_the_source_say(project: Write, file: str, text: str, found: list[Start]) -> None:
    """A container, a Procfile or a script says it; what it only installs, checks or comments does not count; else the main block."""
    assert list(starts(project({"main.py": MAIN, file: text}))) == found


def test_a_project_that_says_nothing(project: Write) -> None:
    """Neither a file beside the source nor a main block that starts a server: nothing is known."""
    assert starts(project({"main.py": 'from fastapi import FastAPI\napp = FastAPI()\nif __name__ == "__main__":\n    print("run me by uvicorn")\n'})) == ()
