"""Owns the claims about which clauses are quiet, and how the silence is broken."""

from __future__ import annotations

import ast
import textwrap

import pytest

from toughen import silences
from toughen.codemod.module import Module

QUIET = """
import requests

def ask():
    try:
        return requests.get("https://a.example").json()
    except Exception as e:
        {body}
"""


def found(body: str) -> tuple[silences.Silence, ...]:
    """The silences of a function whose clause does that."""
    return silences._of(Module("main.py", QUIET.format(body=textwrap.indent(body, "        ").strip())))


@pytest.mark.parametrize("body", ["pass", "return None", "db.rollback()\nreturn {'error': str(e)}, 500", "raise HTTPException(400, 'No')", "abort(500)", "return jsonify(error=repr(e))"])
def test_quiet_clauses(body: str) -> None:
    """Clauses that pass, answer or refuse without a word to anybody are quiet."""
    assert [(each.number, each.location.line) for each in found(body)] == [(0, 7)]


@pytest.mark.parametrize("body", ["raise", "raise ServiceError('x') from e", "print(e)", "logger.info('no')", "sentry_sdk.capture_exception(e)", "notify_owner(str(e))", "remember(e)", "traceback.print_exc()"])
def test_clauses_that_tell(body: str) -> None:
    """Clauses that raise, log, print or hand the exception to somebody are not."""
    assert found(body) == ()


@pytest.mark.parametrize(("head", "line"), [
    ("import logging\nlog = logging.getLogger('shop')\n", "log.exception('ask failed')"),
    ("import structlog\nlogger = structlog.get_logger()\n", "logger.exception('ask failed')"),
    ("from loguru import logger\n", "logger.exception('ask failed')"),
    ("import os\nlogger = 7\n", "log.exception('ask failed')"),
    ("import os\n", "logger.exception('ask failed')"),
])  # fmt: skip
def test_the_line_is_in_the_files_style(head: str, line: str) -> None:
    """The logger that the file has writes it, else a new one that stands behind the imports."""
    module = Module("main.py", head + "def ask():\n    try:\n        return os.getcwd()\n    except OSError:\n        pass\n")
    done = silences._logged(module, module.functions[0], silences.clauses_of(module, module.functions[0])[0]).done()
    ast.parse(done)
    assert f"    except OSError:\n        {line}\n" in done.replace('"', "'")
    assert done.count("getLogger") == (1 if "logging" in head or "os" in head else 0)
