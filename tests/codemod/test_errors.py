"""Claims about answers that repeat an exception: a constant text stands there afterwards, and the log has the exception."""

from __future__ import annotations

import pytest

from toughen.codemod import Module, twice
from toughen.codemod.errors import concealed
from toughen.model.patch import Unmended

FRAME = "from flask import abort, jsonify\n\ndef f():\n    try:\n        work()\n    except {kind}:\n        {answer}\n"


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ('return jsonify({"error": str(e)}), 500', 'return jsonify({"error": "An internal error occurred"}), 500'),
        ('return {"error": f"Could not save: {e}"}, 500', 'return {"error": "Could not save"}, 500'),
        ('abort(500, description="Failed: " + str(e))', 'abort(500, description="Failed")'),
        ('return jsonify({"error": "x", "what": repr(e), "args": e.args}), 500', 'return jsonify({"error": "x", "what": "An internal error occurred", "args": "An internal error occurred"}), 500'),
    ],
)
def test_the_exception_goes_to_the_log(answer: str, wanted: str) -> None:
    """Only the expression that repeats it changes."""
    text = FRAME.format(kind="Exception as e", answer=answer)
    done = str(twice(lambda module: concealed(module, 7), Module("a.py", text)))
    assert wanted in done
    assert 'logging.exception("Request failed")' in done
    assert "import logging" in done


def test_a_logger_that_is_there_is_used() -> None:
    """And one that wrote the exception already is not asked again."""
    text = "import logging\nlogger = logging.getLogger(__name__)\n" + FRAME.format(kind="Exception as e", answer='logger.exception("no")\n        return {"error": str(e)}, 500')
    done = str(twice(lambda module: concealed(module, 10), Module("a.py", text)))
    assert done.count("logger.exception") == 1
    assert "An internal error occurred" in done


@pytest.mark.parametrize(("kind", "answer"), [("ValueError as e", "return str(e), 400"), ("Exception as e", 'return "failed", 500'), ("Exception as e", 'return {"code": e.code}, 500')])
def test_words_for_the_client_stay(kind: str, answer: str) -> None:
    """What a ValueError says is often the project's own; a constant text and a number give nothing away."""
    assert isinstance(concealed(Module("a.py", FRAME.format(kind=kind, answer=answer)), 7), Unmended)
