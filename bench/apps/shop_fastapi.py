"""A FastAPI app over SQLAlchemy that sells what is in stock: it is read, checked and written back, so that two at once both buy the last piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator

app = FastAPI()
engine = create_engine("sqlite:///./shop.db", poolclass=NullPool)


class Base(DeclarativeBase):
    """The models."""


class Item(Base):
    """Something in stock."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


Base.metadata.create_all(engine)
with Session(engine) as seed:
    if seed.get(Item, 1) is None:
        seed.add(Item(id=1, stock=10))
        seed.commit()


def session() -> Iterator[Session]:
    """One session a request."""
    with Session(engine) as opened:
        yield opened


@app.post("/items/{item}/buy")
def buy(item: int, db: Annotated[Session, Depends(session)]) -> dict[str, bool]:
    """Sell one piece."""
    found = db.get(Item, item)
    if found is None or found.stock < 1:
        raise HTTPException(409, "sold out")
    found.stock -= 1
    db.commit()
    return {"ok": True}


def sells(item: int) -> bool:
    """The handler as a function: whether it sold a piece."""
    with Session(engine) as opened:
        try:
            return buy(item, opened)["ok"]
        except HTTPException:
            return False
