"""Proves whom the session blames for a process that died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.explore.session import Session
from toughen.lab.credentials import Wallet
from toughen.lab.environment import existing
from toughen.lab.opening import open_lab
from toughen.model.journey import Call
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

FUSE = """
    import os
    from flask import Flask, jsonify

    app = Flask(__name__)


    @app.get("/fuse")
    def fuse():
        open("lit", "w").close()
        return jsonify(lit=True)


    @app.get("/items")
    def items():
        if os.path.exists("lit"):
            os.remove("lit")
            os._exit(1)
        return jsonify([])


    @app.get("/exit")
    def leave():
        os._exit(1)
    """


@pytest.mark.parametrize("lines", [False, True], ids=["served", "traced"])
def test_what_the_request_before_left_behind_is_not_blamed_on_the_next(prototype: Callable[[Mapping[str, str]], Prototype], lines: bool) -> None:  # noqa: FBT001
    """A process that has only just begun may die of the request before: the next one is asked again; what dies by itself is told as such."""
    root = prototype({"main.py": FUSE}).root
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    ours = existing(root, blueprint.entry.framework)
    assert ours is not None
    with open_lab(root, blueprint.entry, ours, {}) as lab:
        session = Session(lab, join(blueprint, lab.facts, sources), sources.texts, Wallet())
        assert session.send(Call("GET /fuse")).status == 200
        session.reset()
        assert session.send(Call("GET /items"), lines=lines).status == 200
        assert set(session.hung) == {"GET /fuse"}
        assert session.send(Call("GET /exit"), lines=lines).ended == "died"
        assert set(session.hung) == {"GET /fuse", "GET /exit"}
        session.reset()
