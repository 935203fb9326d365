"""A FastAPI app that keeps its stock in PostgreSQL by SQLAlchemy and psycopg 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

if TYPE_CHECKING:
    from collections.abc import Iterator

app = FastAPI()
engine = create_engine("postgresql+psycopg://shop:shop@localhost:5432/shop")


class Base(DeclarativeBase):
    """The models."""


class Item(Base):
    """Something in stock."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    stock: Mapped[int]


class Order(BaseModel):
    """A body."""

    item: int
    quantity: int


Base.metadata.create_all(engine)
with Session(engine) as seed:
    if seed.get(Item, 1) is None:
        seed.add_all(Item(name=f"item {number}", stock=1_000_000) for number in range(10))
        seed.commit()
engine.dispose()


def session() -> Iterator[Session]:
    """One session a request."""
    with Session(engine) as opened:
        yield opened


Db = Annotated[Session, Depends(session)]


@app.get("/items/{number}")
def items(number: int, db: Db, limit: int = 5) -> list[dict[str, object]]:
    """Read a few rows."""
    rows = db.scalars(select(Item).where(Item.id >= number).limit(limit))
    return [{"id": row.id, "name": row.name, "stock": row.stock} for row in rows]


@app.post("/orders")
def order(wanted: Order, db: Db) -> dict[str, int]:
    """Read a row, change it, commit."""
    found = db.get(Item, wanted.item)
    assert found is not None
    found.stock -= wanted.quantity
    db.commit()
    return {"item": wanted.item, "quantity": wanted.quantity}
