"""Claims about claim, step, lock and hold: the database decides, and the refusal is the app's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import claim, hold, lock, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHOP = """
from sqlalchemy import Column, Integer, create_engine
from sqlalchemy.orm import declarative_base, Session

Base = declarative_base()

class HTTPException(Exception):
    def __init__(self, status_code, detail):
        self.status_code, self.detail = status_code, detail

class Item(Base):
    __tablename__ = 'items'
    id = Column(Integer, primary_key=True)
    stock = Column(Integer)

def buy(item_id, n, db):
    item = db.query(Item).filter(Item.id == item_id).first()
    if not item or item.stock < n:
        raise HTTPException(status_code=400, detail='Out of stock')
    item.stock -= n
    db.commit()
    return item.stock
"""


def _line(piece: str, source: str = SHOP) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if piece in line)


def test_claim_is_one_update_with_the_checks_refusal(changed: Callable[..., Any]) -> None:
    """The step becomes a conditional UPDATE, and a miss is answered as the check answers."""
    assert changed(SHOP, lambda m: claim(m, _line("stock -= n"))) == [
        "-    item.stock -= n",
        "+    if not db.query(Item).filter(Item.id == item.id, Item.stock >= n).update({Item.stock: Item.stock - n}):",
        "+        raise HTTPException(status_code=400, detail='Out of stock')",
    ]


def test_a_claimed_row_is_never_oversold(mended: Callable[..., Any], run: Callable[..., Any], tmp_path: Path) -> None:
    """Two sessions that both read the last piece: one sells it, the other is refused, and the stock ends at 0."""
    names = run(mended(SHOP, lambda m: claim(m, _line("stock -= n"))))
    engine = names["create_engine"](f"sqlite:///{tmp_path}/shop.db")
    names["Base"].metadata.create_all(engine)
    with names["Session"](engine) as db:
        db.add(names["Item"](id=1, stock=1))
        db.commit()
    with names["Session"](engine) as late:
        late.get(names["Item"], 1)
        late.expire_on_commit = False
        with names["Session"](engine) as early:
            assert names["buy"](1, 1, early) == 0
        with pytest.raises(names["HTTPException"]) as refusal:
            names["buy"](1, 1, late)
    assert refusal.value.status_code == 400
    with names["Session"](engine) as db:
        assert db.get(names["Item"], 1).stock == 0


def test_a_claim_rolls_back_what_was_written_before(mended: Callable[..., Any]) -> None:
    """Where the session was written before the step, the refusal takes that back first."""
    source = SHOP.replace("    item.stock -= n", "    db.add(Order())\n    item.stock -= n")
    text = mended(source, lambda m: claim(m, _line("stock -= n", source)))
    assert "        db.rollback()\n        raise HTTPException" in text


@pytest.mark.parametrize(
    ("check", "change", "condition"),
    [
        ("if n > item.stock:", "item.stock = item.stock - n", "n <= Item.stock"),
        ("if item.stock - n < 0:", "item.stock -= n", "Item.stock - n >= 0"),
        ("if item.used >= item.limit:", "item.used += 1", "Item.used < Item.limit"),
        ("if not item.stock:", "item.stock -= 1", "Item.stock > 0"),
    ],
)
def test_conditions_are_the_checks_turned_around(
    mended: Callable[..., Any], check: str, change: str, condition: str
) -> None:
    """Comparisons on either side, sums and columns of the same row become the UPDATE's condition."""
    source = SHOP.replace("if not item or item.stock < n:", check).replace("item.stock -= n", change)
    assert f"Item.id == item.id, {condition})" in mended(source, lambda m: claim(m, _line(change, source)))


def test_a_step_inside_its_check_is_claimed(mended: Callable[..., Any]) -> None:
    """`if enough: step else: refuse` is the same check the other way around."""
    source = """
    def buy(item_id, n, db):
        item = db.query(Item).filter(Item.id == item_id).first()
        if item.stock >= n:
            item.stock -= n
            db.commit()
        else:
            return {'error': 'Out'}, 400
        return {'ok': True}
    """
    text = mended(source, lambda m: claim(m, 5))
    assert "Item.stock >= n).update({Item.stock: Item.stock - n}):\n            return {'error': 'Out'}, 400" in text


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("if not item or item.stock < n:", "if not item:", "no check"),
        ("    item.stock -= n", "    item.stock = 3", "no `row.column += amount`"),
        ("db.query(Item).filter(Item.id == item_id).first()", "load(item_id)", "model of `item` is unknown"),
    ],
)
def test_claims_without_their_facts_are_refused(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """No check, no step, no model: the brief says which."""
    source = SHOP.replace(old, new)
    piece = new.strip() if "stock = 3" in new else "item.stock -= n"
    assert reason in refused(source, lambda m: claim(m, _line(piece, source)))


def test_a_refusal_that_would_be_swallowed_is_refused(refused: Callable[..., Any]) -> None:
    """Inside a broad handler a raised refusal would come out as a 500."""
    source = """
    def buy(item_id, n, db):
        try:
            item = db.query(Item).filter(Item.id == item_id).first()
            if item.stock < n:
                raise HTTPException(400, 'Out')
            item.stock -= n
            db.commit()
        except Exception as error:
            return {'error': str(error)}, 500
    """
    assert "swallow" in refused(source, lambda m: claim(m, 7))


def test_step_lets_the_database_add(changed: Callable[..., Any]) -> None:
    """A counter without a check is computed where it is stored."""
    source = SHOP.replace("item.stock -= n", "item.stock += n * 2")
    assert changed(source, lambda m: step(m, _line("stock += n", source))) == [
        "-    item.stock += n * 2",
        "+    item.stock = Item.stock + (n * 2)",
    ]


@pytest.mark.parametrize(
    ("database", "wanted"),
    [
        ("postgresql", ["Item.id == item_id).with_for_update().populate_existing().first()"]),
        (
            "sqlite",
            ["    db.query(Item).filter(Item.id == item_id).update({Item.id: Item.id}, synchronize_session=False)"],
        ),
    ],
)
def test_the_lock_is_the_databases_own(changed: Callable[..., Any], database: str, wanted: list[str]) -> None:
    """Postgres locks the row it reads, SQLite takes the write lock first."""
    lines = [line for line in changed(SHOP, lambda m: lock(m, _line("item = db"), database)) if line.startswith("+")]
    assert len(lines) == 1
    assert lines[0].endswith(wanted[0])


def test_a_lock_that_a_commit_drops_is_refused(refused: Callable[..., Any]) -> None:
    """A commit between the read and the last write ends the lock."""
    source = SHOP.replace("    item.stock -= n", "    db.commit()\n    item.stock -= n")
    assert "drop the lock" in refused(source, lambda m: lock(m, _line("item = db", source), "postgresql"))


def test_a_row_from_a_dependency_is_read_again(changed: Callable[..., Any]) -> None:
    """A row that the log-in dependency loaded is locked and refreshed first."""
    source = """
    def send(amount: int, db: Session = Depends(get_db), user: models.User = Depends(current)):
        user.balance -= amount
        db.commit()
    """
    assert changed(source, lambda m: hold(m, "send", "user", "postgresql")) == [
        "+    db.refresh(user, with_for_update=True)"
    ]


def test_asynchronous_sessions_are_refused(refused: Callable[..., Any]) -> None:
    """An AsyncSession has no query: a claim would crash there."""
    source = SHOP.replace("def buy", "async def buy").replace("    db.commit()", "    await db.commit()")
    assert "asynchronous" in refused(source, lambda m: claim(m, _line("stock -= n", source)))
