"""How the world outside answers is learned from what handlers ask of it, and is the same in a fresh boot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.explore.outside import composed
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.blueprint import Json
    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

READERS = """
    import decimal
    import json
    import urllib.request

    import httpx
    import requests
    from flask import Flask, jsonify, request
    from pydantic import BaseModel

    app = Flask(__name__)


    class Rate(BaseModel):
        code: str
        rate: float


    class Rates(BaseModel):
        base: Rate


    @app.get("/weather/<city>")
    def weather(city):
        data = requests.get("https://weather.example/data", params={"q": city}, timeout=5).json()
        if data.get("cod") != 200:
            return jsonify(error="city not found"), 404
        return jsonify(temperature=round(data["main"]["temp"] - 273.15, 1), sky=data["weather"][0]["description"])


    @app.get("/convert/<to>")
    def convert(to):
        rates = httpx.get("https://rates.example/latest/USD").json()["rates"]
        if to not in rates:
            return jsonify(error="unknown currency"), 400
        return jsonify(value=3.5 * rates[to])


    @app.get("/news")
    def news():
        with urllib.request.urlopen("https://news.example/top", timeout=5) as answer:
            data = json.load(answer)
        if data["status"] != "ok" or "error" in data:
            return jsonify(error="no news"), 503
        return jsonify([{"title": each["title"], "points": each["points"] + 1} for each in data["articles"][:5]])


    @app.post("/extract")
    def extract():
        text = request.get_json()["text"]
        answer = requests.post("https://llm.example/v1/run", json={"text": text}, timeout=5).json()
        return jsonify(names=[each["name"].upper() for each in json.loads(answer["output"].strip())["people"]])


    @app.post("/ask")
    def ask():
        text = request.get_json()["text"]
        answer = requests.post("https://llm.example/v1/chat/completions", json={"text": text}, timeout=5).json()
        return jsonify(answer=answer["choices"][0]["message"]["content"])


    @app.get("/model")
    def model():
        return jsonify(rate=Rates(**httpx.get("https://rates.example/model").json()).base.rate)


    @app.get("/price")
    def price():
        return jsonify(price=str(decimal.Decimal(httpx.get("https://prices.example/one").json()["price"])))


    @app.get("/list")
    def listed():
        return jsonify([each["name"] for each in httpx.get("https://names.example/all").json()["data"]])
    """


@pytest.fixture
def checked(prototype: Write) -> Callable[[str], Verdict]:
    """Explore a prototype of one file; no rule looks at what was reached but one that needs something outside."""

    def check(text: str) -> Verdict:
        root = prototype({"main.py": text}).root
        return Run(root, config.read(root, only=("failure/hang",))).check()

    return check


def test_every_reader_gets_what_it_reads(checked: Callable[[str], Verdict]) -> None:
    """Keys, elements, numbers, JSON inside of a text, models and what an answer is compared with: every route succeeds, and again from the snapshot."""
    verdict = checked(READERS)
    assert [str(each) for each in verdict.unreached] == []
    assert len(verdict.journeys) == 8


def test_what_tells_of_an_error_is_not_made_up(checked: Callable[[str], Verdict]) -> None:
    """A key that is looked for to find an error is not in an answer that is well."""
    verdict = checked("""
        import httpx
        from flask import Flask, jsonify

        app = Flask(__name__)


        @app.get("/state")
        def state():
            data = httpx.get("https://state.example/now").json()
            if data.get("error") or data.get("errors"):
                return jsonify(error=data["error"]), 502
            return jsonify(level=int(data["level"]))
        """)
    assert [each.route for each in verdict.journeys] == ["GET /state"]


@pytest.mark.long
def test_a_proof_replays_with_the_answers_that_were_learned(prototype: Write) -> None:
    """What was learned of the world outside is kept with the proof."""
    made = prototype({"main.py": READERS.replace(', params={"q": city}, timeout=5', ', params={"q": city}')})
    assert made.toughen("check", made.root.name, "--only", "failure/hang").returncode == 10
    [proof] = (made.root / ".toughen" / "proofs").glob("*.json")
    assert any(step.startswith("answers:") for step in json.loads(proof.read_text())["prepared"])
    assert made.toughen("replay", str(proof)).returncode == 10


@pytest.mark.parametrize(
    ("asked", "path", "value"),
    [
        ({("rates", "EUR"): "number"}, ("rates", "EUR"), 2.0),
        ({("list", 0, "name"): "any"}, ("list", 0, "name"), "outside"),
        ({("cod",): "=200"}, ("cod",), 200),
        ({("sunrise",): "integer"}, ("sunrise",), 1_767_225_600),
        ({("picture_url",): "any"}, ("picture_url",), "https://example.com/"),
        ({(0, "id"): "any"}, (0, "id"), "lab_1"),
        ({("data",): "array", ("data", 0): "any", ("data", 0, "x"): "any"}, ("data", 0, "x"), "outside"),
    ],
)
def test_values_are_of_the_kind_that_was_wanted(asked: dict[tuple[str | int, ...], str], path: tuple[str | int, ...], value: Json) -> None:
    """A body holds each key that was asked for, with a plausible value."""
    found: object = composed(asked)
    for key in path:
        found = found[key]  # type: ignore[index]
    assert found == value


def test_a_text_may_be_json_itself() -> None:
    """What was read from inside of a text stands in a text."""
    body = composed({("output",): "json", ("output", "$json", "people"): "array", ("output", "$json", "people", 0, "name"): "any"})
    assert isinstance(body, dict)
    assert json.loads(str(body["output"]))["people"] == [{"name": "outside"}]
