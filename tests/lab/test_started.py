"""What the prototype's own start would serve is served where a trial asks for it, and only there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab.child import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

APP = """
    import os
    from flask import Flask
    app = Flask(__name__)

    @app.get("/")
    def home():
        return "hello"

    @app.get("/crash")
    def crash():
        return 1 / 0
    """


def answer(lab: Lab, path: str, started: str = "") -> tuple[int, str]:
    """(status, body) of one request to a process of its own."""
    child = lab.child(started=started)
    try:
        found = child.serve({"method": "GET", "target": path, "headers": [["Host", "localhost"]], "body_b64": ""}, Record()).response
    finally:
        child.close()
    assert found is not None
    return found.status, found.body


@pytest.mark.parametrize(
    ("files", "script"),
    [
        ({"main.py": APP + '\n    if __name__ == "__main__":\n        app.run(debug=True)\n'}, "main.py"),
        ({"main.py": APP + "\n    def main():\n        app.run('0.0.0.0', 5000, True)\n\n    if __name__ == '__main__':\n        main()\n"}, "main.py"),
        ({"main.py": APP, "run.py": 'from main import app\n\nif __name__ == "__main__":\n    app.run(host="0.0.0.0", debug=True)\n'}, "run.py"),
        ({"main.py": APP + "\n    app.debug = True\n\n    if __name__ == '__main__':\n        app.run()\n"}, "main.py"),
        ({"main.py": APP}, "flask"),
    ],
)  # fmt: skip
def test_a_start_with_the_debugger(booted: Boot, files: dict[str, str], script: str) -> None:
    """Werkzeug's debugger answers a crash and opens its console as it would after `python main.py`; the application alone has none."""
    with booted(files) as (lab, _):
        status, body = answer(lab, "/crash", script)
        assert status == 500
        assert "ZeroDivisionError" in body
        assert "EVALEX = true" in body
        assert answer(lab, "/console", script)[0] == 200
        assert answer(lab, "/console")[0] == 404
        assert answer(lab, "/", script) == (200, "hello")


@pytest.mark.parametrize("start", ["app.run()", 'app.run(debug=os.environ.get("FLASK_DEBUG") == "1")', "app.run(debug=False)", "raise RuntimeError", "pass"])
def test_a_start_without_it(booted: Boot, start: str) -> None:
    """Where the start turns nothing on, or fails, the application answers as ever."""
    with booted({"main.py": APP + f'\n    if __name__ == "__main__":\n        {start}\n'}) as (lab, _):
        assert answer(lab, "/console", "main.py")[0] == 404
        assert "ZeroDivisionError" not in answer(lab, "/crash", "main.py")[1]
        assert answer(lab, "/", "main.py") == (200, "hello")


def test_a_debugger_put_around_by_hand(booted: Boot) -> None:
    """`run_simple(..., use_debugger=True)` opens the console, though Flask answers its crashes itself."""
    run = 'from werkzeug.serving import run_simple\nfrom main import app\n\nif __name__ == "__main__":\n    run_simple("0.0.0.0", 5000, app, use_debugger=True)\n'
    with booted({"main.py": APP, "run.py": run}) as (lab, _):
        assert answer(lab, "/console", "run.py")[0] == 200
        assert "ZeroDivisionError" not in answer(lab, "/crash", "run.py")[1]
