"""Tests of the till; copied beside it as test_till.py."""

from __future__ import annotations

import pytest
import till
from fastapi.testclient import TestClient

client = TestClient(till.app)


@pytest.fixture(autouse=True)
def _stocked() -> None:
    till.stock.update(apple=5, pear=0)


@pytest.mark.parametrize(("text", "cents"), [("1", 100), ("1.50", 150), ("0.05", 5), ("99.99", 9999)])
def test_prices(text: str, cents: int) -> None:
    assert till.price_of(text) == cents


@pytest.mark.parametrize("text", ["", "x", "1.5", "1.505", "1.x0", "100.01"])
def test_no_prices(text: str) -> None:
    with pytest.raises(ValueError):
        till.price_of(text)


@pytest.mark.parametrize("number", [1, 50, 99])
def test_pieces(number: int) -> None:
    assert till.pieces_of(number) == number


@pytest.mark.parametrize("number", [0, -1, 100])
def test_no_pieces(number: int) -> None:
    with pytest.raises(ValueError):
        till.pieces_of(number)


@pytest.mark.parametrize(("percent", "cents"), [(0, 100), (10, 90), (50, 50)])
def test_reduced(percent: int, cents: int) -> None:
    assert till.reduced(100, percent) == cents


@pytest.mark.parametrize("percent", [-1, 51])
def test_not_reduced(percent: int) -> None:
    with pytest.raises(ValueError):
        till.reduced(100, percent)


def test_taken() -> None:
    assert till.taken("apple", 2) == 3
    with pytest.raises(ValueError):
        till.taken("pear", 1)
    with pytest.raises(KeyError):
        till.taken("fig", 1)


@pytest.mark.parametrize("text", [" abc123 ", "ABC123"])
def test_codes(text: str) -> None:
    assert till.code_of(text) == "ABC123"


@pytest.mark.parametrize("text", ["abc", "abc-12", "xbc123"])
def test_no_codes(text: str) -> None:
    with pytest.raises(ValueError):
        till.code_of(text)


def test_due() -> None:
    assert till.due([(100, 2), (50, 1)], 300) == 50
    with pytest.raises(ValueError):
        till.due([], 10)
    with pytest.raises(ValueError):
        till.due([(100, 1)], 99)


def test_sells() -> None:
    assert client.post("/sell/apple/2").json() == {"left": 3}
    assert client.post("/sell/apple/9").status_code == 409
    assert client.post("/sell/fig/1").status_code == 404


def test_tells_prices() -> None:
    assert client.get("/price/2.50?percent=10").json() == {"cents": 225}
    assert client.get("/price/x").status_code == 400
