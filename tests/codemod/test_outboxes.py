"""Claims about written_down and sends: a message is written in front of the commit with what is known there, and sent behind it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module, twice
from toughen.codemod.outboxes import sends, written_down
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "import requests\nimport httpx\nimport threading\n"


def _app(body: str) -> str:
    return HEAD + "def f(db, conn, item, tasks):\n" + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


def _here(module: Module, **options: Any) -> Any:
    line = next((number for number, line in enumerate(module.text.splitlines(), 1) if "# here" in line), 0)
    return written_down(module, line, "outbox", **options) if line else Unmended("it is gone")


def _done(body: str, **options: Any) -> list[str]:
    draft = _here(Module("app.py", _app(body)), **options)
    assert not isinstance(draft, Unmended), draft
    return [line.strip() for line in draft.done().splitlines()[4:]]


def test_a_post_behind_the_commit() -> None:
    """What was posted is written down, a new row has its key by then, and what looked at the answer goes."""
    body = """
    db.add(item)
    db.commit()
    r = requests.post("https://x.example/v1/orders", json={"id": item.id}, timeout=5)  # here
    r.raise_for_status()
    return item
    """
    assert _done(body, mapped=True) == [
        "db.add(item)", "db.flush()", 'outbox.put(db, outbox.post, "https://x.example/v1/orders", json={"id": item.id}, timeout=5)', "db.commit()", "outbox.send()  # here", "return item",
    ]  # fmt: skip


def test_a_function_in_front_of_the_commit() -> None:
    """What was told too early goes behind the commit by way of the table."""
    assert _done("db.add(item)\ntell(item.id)  # here\ndb.commit()\nreturn item", sender="tell", mapped=True) == ["db.add(item)", "db.flush()", "outbox.put(db, tell, item.id)", "db.commit()", "outbox.send()", "return item"]


@pytest.mark.parametrize(
    ("handed", "send"),
    [
        ("tasks.add_task(tell, number, item)", "tasks.add_task(outbox.deliver)"),
        ("threading.Thread(target=tell, args=(number, item)).start()", "outbox.send()"),
        ("threading.Thread(target=tell, args=[number, item], daemon=True).start()", "outbox.send()"),
    ],
)
def test_work_that_is_handed_on(handed: str, send: str) -> None:
    """What the function is given is written down; a name that is bound behind the commit is written as what it is bound to."""
    body = f"""
    cursor = conn.execute("INSERT")
    conn.commit()
    number = cursor.lastrowid
    conn.close()
    {handed}  # here
    """
    assert _done(body, sender="tell") == ['cursor = conn.execute("INSERT")', "outbox.put(conn, tell, cursor.lastrowid, item)", "conn.commit()", "number = cursor.lastrowid", "conn.close()", f"{send}  # here"]


def test_a_connection_that_a_with_commits() -> None:
    """The message is the last that its block does."""
    assert _done('with get_db() as live:\n    live.execute("INSERT")\ntell(item)  # here', sender="tell") == ["with get_db() as live:", 'live.execute("INSERT")', "outbox.put(live, tell, item)", "outbox.send()  # here"]


def test_a_try_that_holds_nothing_else_goes() -> None:
    """The outbox tries again by itself."""
    body = "db.commit()\ntry:\n    httpx.post('https://x.example/pay', json={'n': 1})  # here\nexcept httpx.HTTPError:\n    print('failed')\nreturn 1"
    assert _done(body, mapped=True) == ["db.flush()", "outbox.put(db, outbox.post, 'https://x.example/pay', json={'n': 1})", "db.commit()", "outbox.send()", "return 1"]


@pytest.mark.parametrize(
    ("body", "sender", "reason"),
    [
        ("db.commit()\ncharge = requests.post('u', json={}).json()  # here\nreturn charge", "", "used"),
        ("db.commit()\nr = requests.post('u', json={})  # here\nreturn r.text", "", "used"),
        ("db.commit()\nrequests.post('u', files=item)  # here", "", "more than a text"),
        ("db.commit()\nnumber = made()\ntell(number)  # here", "tell", "only behind the commit"),
        ("db.commit()\ntell(db, item)  # here", "tell", "connection itself"),
        ("tell(item)  # here\nreturn 1", "tell", "no commit"),
        ("tell(item)  # here\nif item:\n    return 1\ndb.commit()", "tell", "may leave"),
        ("db.commit()\nx = tell(item)  # here\nreturn x", "tell", "used"),
    ],
)
def test_what_cannot_be_written_down(refused: Callable[..., Any], body: str, sender: str, reason: str) -> None:
    """Answers that are used, values that come later, and functions that do not commit are for a person."""
    assert reason in refused(_app(body), lambda module: _here(module, sender=sender))


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        ("requests.post('u', json={})", "requests.post('u', json={}, headers={'Idempotency-Key': outbox.key()})"),
        ("httpx.post('u', headers={'A': 'b'})", "httpx.post('u', headers={'A': 'b', 'Idempotency-Key': outbox.key()})"),
        ("httpx.post('u', headers={'Idempotency-Key': n})", "httpx.post('u', headers={'Idempotency-Key': n})"),
    ],
)
def test_a_sender_says_the_key(call: str, wanted: str) -> None:
    """Whoever is told twice knows it by the key; one that is there already stays."""
    text = f"{HEAD}def tell(n):\n    {call}\n"
    assert twice(lambda module: sends(module, "tell", "outbox"), Module("app.py", text)) == f"{HEAD}@outbox.sender\ndef tell(n):\n    {wanted}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def tell(n):\n    requests.post('u')\n    requests.post('v')\n", "2 calls outside"),
        ("@cached\ndef tell(n):\n    requests.post('u')\n", "decorators"),
        ("class A:\n    def tell(n):\n        requests.post('u')\n", "inside of something else"),
    ],
)
def test_what_is_no_sender(refused: Callable[..., Any], text: str, reason: str) -> None:
    """Two calls of which one may be done, and functions of another kind, are left."""
    assert reason in refused(HEAD + text, lambda module: sends(module, "tell", "outbox"))
