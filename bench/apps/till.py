"""A till that checks what it is told, in plain functions that every mutation tool sees, behind two routes."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException

app = FastAPI()
LARGEST, PIECES = 10_000, 99
stock = {"apple": 5, "pear": 0}


def price_of(text: str) -> int:
    """Cents of a price like `1.50`."""
    euros, _, cents = text.partition(".")
    if not euros.isdigit():
        raise ValueError("a price begins with a number")
    if cents and (len(cents) != 2 or not cents.isdigit()):  # noqa: PLR2004
        raise ValueError("cents have two digits")
    found = int(euros) * 100 + int(cents or 0)
    if found > LARGEST:
        raise ValueError("nothing costs that much")
    return found


def pieces_of(number: int) -> int:
    """A number of pieces that can be sold."""
    if number <= 0:
        raise ValueError("at least one piece")
    if number > PIECES:
        raise ValueError("too many pieces")
    return number


def reduced(cents: int, percent: int) -> int:
    """A price less so many percent."""
    if percent < 0:
        raise ValueError("nothing gets dearer by a discount")
    if percent > 50:  # noqa: PLR2004
        raise ValueError("half is the most")
    return cents - cents * percent // 100


def taken(name: str, number: int) -> int:
    """What is left of a kind once so many are taken."""
    if name not in stock:
        raise KeyError(name)
    if stock[name] < number:
        raise ValueError("sold out")
    stock[name] -= number
    return stock[name]


def code_of(text: str) -> str:
    """A voucher's code."""
    cleaned = text.strip().upper()
    if len(cleaned) != 6:  # noqa: PLR2004
        raise ValueError("six characters")
    if not cleaned.isalnum():
        raise ValueError("letters and digits")
    if cleaned.startswith("X"):
        raise ValueError("that one is used")
    return cleaned


def due(items: list[tuple[int, int]], paid: int) -> int:
    """Change for what was bought."""
    if not items:
        raise ValueError("nothing was bought")
    total = sum(cents * pieces_of(number) for cents, number in items)
    if paid < total:
        raise ValueError("that is not enough")
    return paid - total


@app.post("/sell/{name}/{number}")
def sell(name: str, number: int) -> dict[str, int]:
    """Take pieces from the stock."""
    try:
        return {"left": taken(name, pieces_of(number))}
    except KeyError:
        raise HTTPException(404, "no such thing") from None
    except ValueError as error:
        raise HTTPException(409, str(error)) from None


@app.get("/price/{text}")
def price(text: str, percent: int = 0) -> dict[str, int]:
    """What something costs."""
    try:
        return {"cents": reduced(price_of(text), percent)}
    except ValueError as error:
        raise HTTPException(400, str(error)) from None
