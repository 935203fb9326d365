"""Claims about refusals: copied from the file's own, in status, text and shape."""

from __future__ import annotations

import pytest

from toughen.codemod import Module, UnmendableError, refuse

FLASK = "from flask import Flask, jsonify, abort, Response, make_response\napp = Flask(__name__)\n"
FASTAPI = (
    "from fastapi import FastAPI, HTTPException, status\nfrom fastapi.responses import JSONResponse\napp = FastAPI()\n"
)


def _handler(body: str) -> str:
    return f"@app.post('/pay')\ndef pay():\n    if bad:\n        {body}\n    return ok\n"


@pytest.mark.parametrize(
    ("head", "body", "wanted"),
    [
        (FLASK, "return jsonify({'error': 'No body'}), 400", "return jsonify({'error': 'Too much'}), 422"),
        (FLASK, "return {'ok': False, 'message': 'x y'}, 400", "return {'ok': False, 'message': 'Too much'}, 422"),
        (FLASK, "return jsonify(error='No'), 404", "return jsonify(error='Too much'), 422"),
        (
            FLASK,
            "return make_response(jsonify({'msg': 'No'}), 401)",
            "return make_response(jsonify({'msg': 'Too much'}), 422)",
        ),
        (FLASK, "abort(404, description='No')", "abort(422, description='Too much')"),
        (
            FLASK,
            "return Response('No', 403, mimetype='text/plain')",
            "return Response('Too much', 422, mimetype='text/plain')",
        ),
        (FLASK, "return Response('No', status=403)", "return Response('Too much', status=422)"),
        (FLASK, "return 'No such thing', 404", "return 'Too much', 422"),
        (FASTAPI, "raise HTTPException(400, 'No')", "raise HTTPException(422, 'Too much')"),
        (
            FASTAPI,
            "raise HTTPException(status_code=404, detail=f'no {x}')",
            "raise HTTPException(status_code=422, detail='Too much')",
        ),
        (
            FASTAPI,
            "raise HTTPException(status_code=status.HTTP_404_NOT_FOUND, detail='No')",
            "raise HTTPException(status_code=status.HTTP_422_UNPROCESSABLE_ENTITY, detail='Too much')",
        ),
        (
            FASTAPI,
            "return JSONResponse(status_code=400, content={'error': 'No'})",
            "return JSONResponse(status_code=422, content={'error': 'Too much'})",
        ),
        (
            FASTAPI,
            "raise HTTPException(\n            status_code=400,  # why\n            detail='No',\n        )",
            "raise HTTPException(status_code=422, detail='Too much')",
        ),
    ],
)
def test_shapes_are_copied(head: str, body: str, wanted: str) -> None:
    """Each way to refuse comes back with the new status and text, the rest as it was written."""
    module = Module("a.py", head + _handler(body))
    assert refuse(module, module.function("pay"), 422, "Too much").text == wanted


def test_the_nearest_of_the_same_family_wins() -> None:
    """A refusal of a sibling route is preferred to that of another family, and the function's own to both."""
    source = FLASK + (
        "@app.post('/users')\ndef users():\n    return {'fault': 1, 'error': 'a b'}, 400\n"
        "@app.get('/notes')\ndef notes():\n    return {'message': 'a b'}, 404\n"
        "@app.put('/users/<id>')\ndef change(id):\n    return 1\n"
    )
    module = Module("a.py", source)
    assert refuse(module, module.function("change"), 400, "No").text == "return {'fault': 1, 'error': 'No'}, 400"


def test_locals_of_another_function_are_not_copied() -> None:
    """A refusal that needs its own function's names is passed over."""
    source = (
        FLASK
        + "@app.get('/a')\ndef a():\n    why = 1\n    return helper(why), 400\n@app.get('/b')\ndef b():\n    return 1\n"
    )
    module = Module("a.py", source)
    assert refuse(module, module.function("b"), 400, "No").text == "return jsonify({'error': 'No'}), 400"


def test_the_framework_decides_where_the_file_never_refuses() -> None:
    """Without an example FastAPI raises HTTPException, with the import that it needs."""
    module = Module("a.py", "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/a')\ndef a():\n    return 1\n")
    made = refuse(module, module.function("a"), 409, "Taken")
    assert made.text == "raise HTTPException(status_code=409, detail='Taken')"
    assert "from fastapi import FastAPI, HTTPException" in made.needs(module).done()


def test_a_helper_cannot_refuse_by_returning() -> None:
    """What a plain function returns is no answer to a request, so a return is not written there."""
    module = Module("a.py", FLASK + _handler("return jsonify({'error': 'No'}), 400") + "def helper():\n    return 1\n")
    with pytest.raises(UnmendableError, match="no way"):
        refuse(module, module.function("helper"), 400, "No")


def test_a_redirect_or_success_is_no_refusal() -> None:
    """Statuses other than 4xx, and numbers that are no status, are not copied."""
    source = FLASK + _handler("return jsonify({'error': 'n', 'code': 404}), 200")
    module = Module("a.py", source)
    assert refuse(module, module.function("pay"), 400, "No").text == "return jsonify({'error': 'No'}), 400"


def test_a_handler_of_pages_refuses_with_a_page() -> None:
    """Where a handler shows pages alone and no refusal is there to copy, the framework's own page of that status is shown, and no JSON."""
    pages = "from flask import Flask, redirect, render_template\napp = Flask(__name__)\n\n@app.route('/rates')\ndef rates():\n    if not asked:\n        return redirect('/')\n    return render_template('rates.html')\n"
    module = Module("app.py", pages)
    assert refuse(module, module.function("rates"), 502, "No rates").text == "abort(502, description='No rates')"
    scripts = pages.replace("return redirect('/')", "return {'rates': []}")
    assert "jsonify" in refuse(Module("app.py", scripts), Module("app.py", scripts).function("rates"), 502, "No rates").text
