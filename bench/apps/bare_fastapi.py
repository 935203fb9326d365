"""A bare FastAPI app: one route that reads a query, one that reads a body."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    """A body."""

    item: int
    quantity: int


@app.get("/items/{number}")
async def item(number: int, limit: int = 5) -> dict[str, int]:
    """Answer from the path and the query."""
    return {"number": number, "limit": limit}


@app.post("/orders")
async def order(wanted: Order) -> dict[str, int]:
    """Answer from the body."""
    return {"item": wanted.item, "quantity": wanted.quantity}
