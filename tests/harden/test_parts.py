"""A mend that ends a break in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.model.finding import Status
from toughen.model.patch import Kept, Unmended
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

ADDRESSES = """
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    people = []

    @app.route("/people", methods=["POST"])
    def add():
        try:
            data = request.get_json()
            if not data or "name" not in data or "address" not in data:
                return jsonify({"error": "name and address are required"}), 400
            people.append((data["name"].strip(), data["address"]["city"].strip()))
            return jsonify({"people": len(people)}), 201
        except Exception:
            return jsonify({"error": "failed"}), 500
    """


def test_what_is_cured_is_kept_and_the_rest_is_a_finding(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """The fields that the mend checks are refused from now on; the one that lies deeper is named by itself, with a proof of its own."""
    made = prototype({"main.py": ADDRESSES})
    verdict = Run(made.root, config.read(made.root, only=("input/crash",))).fix(write=True, commit=False)
    whole, left = [each for each in verdict.findings if each.status is Status.PROVEN]
    outcomes = dict(verdict.mends)
    assert isinstance(outcomes[whole.id], Kept)
    assert isinstance(outcomes[left.id], Unmended)
    assert left.message.startswith("city = ")
    assert left.proof is not None
    assert {"body", "name"}.isdisjoint(left.proof.experiment.fact("key").split("+"))
    again = Run(made.root, config.read(made.root, only=("input/crash",))).check()
    (found,) = [each for each in again.findings if each.status is Status.PROVEN]
    assert found.message.startswith("city = ")
