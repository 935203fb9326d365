"""Owns the claim that Flask's debug mode may give a request's files another class while demands are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = """
    from flask import Flask, request

    app = Flask(__name__)
    app.config["DEBUG"] = True


    @app.post("/form")
    def form():
        upload = request.files.get("upload")
        return ("a file" if upload else "no file") + " for " + request.form["owner"] + " " + request.form.get("note", "-")


    @app.post("/needed")
    def needed():
        return request.files["upload"].filename
"""
FORM = {"content-type": "application/x-www-form-urlencoded"}
PARTS = {"content-type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="upload"; filename="a.txt"\r\n\r\nhi\r\n--b--\r\n'


@pytest.fixture(scope="module")
def host(boot: Callable[..., Any]) -> Iterator[Any]:
    """A Flask app in debug mode."""
    return boot(APP)


def test_a_form_is_answered_and_its_demands_are_noted(host: Any) -> None:
    """A form without a file is answered as without the lab, and what it was asked for is noted."""
    told = host.child().serve(("POST", "/form", b"owner=ann", FORM), demand=True)[0]
    assert (told["status"], told["body"]) == (200, b"no file for ann -")
    noted = {(each["place"], *each["key"]): each for each in told["demands"]}
    assert noted["form", "owner"]["required"]
    assert noted["form", "owner"]["present"]
    assert noted["form", "note"]["default"] == "-"
    assert not noted["form", "note"]["present"]


def test_a_file_in_debug_mode(host: Any) -> None:
    """A file that is sent arrives, and what the handler asks its request's files for is noted."""
    told = host.child().serve(("POST", "/needed", FILE, PARTS), demand=True)[0]
    assert (told["status"], told["body"]) == (200, b"a.txt")
    assert {(each["place"], *each["key"]): each["required"] for each in told["demands"]} == {("file", "upload"): True}


def test_many_forms_in_debug_mode(host: Any) -> None:
    """After thousands of forms, each of which had a class made for its files, what a form is asked for is noted as ever."""
    child = host.child()
    for _ in range(21):
        child.serve(*[("POST", "/form", b"owner=ann", FORM)] * 100, demand=True)
    told = child.serve(("POST", "/form", b"owner=ann", FORM), demand=True)[0]
    assert told["body"] == b"no file for ann -"
    assert ["owner"] in [each["key"] for each in told["demands"] if each["place"] == "form"]


@pytest.mark.parametrize("demand", [False, True])
def test_flasks_own_explanation_of_a_wrong_form(host: Any, demand: bool) -> None:  # noqa: FBT001 - two ways of one claim
    """A handler that wants a file and gets its name in a form fails with Flask's explanation, with and without recording, and what it wanted is noted."""
    told = host.child().serve(("POST", "/needed", b"upload=a.txt", FORM), demand=demand)[0]
    assert told["failure"]["type"].endswith("DebugFilesKeyError")
    assert "multipart/form-data" in told["failure"]["message"]
    assert [each["key"] for each in told["demands"] if each["place"] == "file"] == [["upload"]] * demand
