"""Owns the text of the module by which a mended project writes down what it tells others, and sends it once that is committed: for FastAPI and Flask, and for each way to its database."""

from __future__ import annotations

TABLE = "outbox"
CLIENTS = ("requests", "httpx")
_TOP = '''"""What is told to others is written down with the rows that it is about, and sent once they are committed: a process that ends in between loses nothing.

`put` writes a message in the caller's own transaction, `send` has what waits delivered, and a new process begins with what the
last one left. Each message is delivered by one process at a time and has a key of its own (`key()`, sent as Idempotency-Key), by which
whoever gets it twice knows it again: that may happen where a process ends before it has noted what it sent. What cannot be
delivered is tried again, {most} times. Delete old rows of {table} by `sent` when you like.
"""

'''
_BODY = '''
MOST, PAUSE = {most}, 60
TABLE = (
    "CREATE TABLE IF NOT EXISTS outbox ({number}, key VARCHAR(32) NOT NULL, sender VARCHAR(200) NOT NULL,"
    " message TEXT NOT NULL, made VARCHAR(32) NOT NULL, sent VARCHAR(32), attempts INTEGER NOT NULL)"
)
_senders = {{}}
_key = ContextVar("key", default="")
_database = None


def sender(function):
    """Let messages be delivered by a function: `put` is given it, and what it is called with."""
    _senders[function.__name__] = function
    return function


def key():
    """The key of the message that is being delivered."""
    return _key.get()
{post}

def put(database, function, *values, **named):
    """Write down, in the transaction of a {caller}, that a function is to be called with plain values."""
    message = json.dumps([values, named])
    {make}
    {insert}


def send():
    """Deliver what is committed, without making anybody wait."""
    threading.Thread(target=deliver, daemon=True).start()


def deliver():
    """Deliver what is committed, in its order; what fails waits for the next time."""
    number, left = 0, False
    with _alone(), {connected} as live:
        while True:
            row = {select}.fetchone()
{between}            if row is None:
                break
            number, name, message, function = tuple(row)
            done = _delivered(name, message, function)
            left = left or not done
            if done:
                {done}
            else:
                {failed}
            live.commit()
    if left:
        again = threading.Timer(PAUSE, deliver)
        again.daemon = True
        again.start()


def _delivered(name, message, function):
    values, named = json.loads(message)
    token = _key.set(name)
    try:
        result = _senders[function](*values, **named)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    except Exception:
        logging.getLogger(__name__).exception("A message (%s) could not be delivered", function)
        return False
    finally:
        _key.reset(token)
    return True


@contextlib.contextmanager
def _alone():
    """One at a time: a lock that goes with its process."""
    path = os.path.join(tempfile.gettempdir(), "outbox-" + hashlib.sha256(os.path.abspath(__file__).encode()).hexdigest()[:16])
    with _turn, open(path, "a") as held:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


_turn = threading.Lock()


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
'''
_POST = '''

@sender
def post(url, **given):
    """Post a message with its key; an answer that tells of an error counts for none."""
    given.setdefault("timeout", 10)
    given["headers"] = {{**(given.get("headers") or {{}}), "Idempotency-Key": key()}}
    {client}.post(url, **given).raise_for_status()
'''
_ASGI = '''

def install(app, database):
    """Begin with what is left when this application starts; `database` gives what the messages are kept in."""
    global _database
    _database = database
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application):
        _begin()
        async with inner(application) as state:
            yield state

    app.router.lifespan_context = lifespan
'''
_WSGI = '''

def install(app, database):
    """Begin with what is left when a process has its first request; `database` gives what the messages are kept in."""
    global _database
    _database = database
    begun = set()

    @app.before_request
    def begin():
        if os.getpid() not in begun:
            begun.add(os.getpid())
            _begin()
'''
_BEGIN = """

def _begin():
    with {connected} as live:
        try:
            {make_live}
            live.commit()
        except Exception:  # Two that make it at once.
            live.rollback()
    send()
"""
_PLAIN = '''

class _Plain:
    """A connection of a driver, with `execute` as all of them have on their cursors."""

    def __init__(self, live):
        self.commit, self.rollback, self.close = live.commit, live.rollback, getattr(live, "close", None)
        self._live = live

    def execute(self, statement, values=()):
        cursor = self._live.cursor()
        cursor.execute(statement, values)
        return cursor
'''
_WRAPPED = """

@contextlib.contextmanager
def _wrapped(opened):
    with opened as live:
        yield _Plain(live)
"""
_WAYS = {
    "engine": "_database().connect()", "session": "contextlib.closing(_database())", "connection": "contextlib.closing(_Plain(_database()))",
    "manager": "_wrapped(_database())", "generator": "_wrapped(contextlib.contextmanager(_database)())",
}  # fmt: skip
MAPPED = frozenset({"engine", "session"})
"""Ways by which SQLAlchemy stands in front of the driver."""
WAYS = frozenset(_WAYS)
_MOST = 20
_STATEMENTS = {
    "insert": ("INSERT INTO outbox (key, sender, message, made, attempts) VALUES ({name}, {sender}, {message}, {made}, 0)", {"name": "uuid.uuid4().hex", "sender": "function.__name__", "message": "message", "made": "_now()"}),
    "select": ("SELECT id, key, message, sender FROM outbox WHERE sent IS NULL AND attempts < {most} AND id > {number} ORDER BY id LIMIT 1", {"most": "MOST", "number": "number"}),
    "done": ("UPDATE outbox SET sent = {sent} WHERE id = {number}", {"sent": "_now()", "number": "number"}),
    "failed": ("UPDATE outbox SET attempts = attempts + 1 WHERE id = {number}", {"number": "number"}),
}  # fmt: skip


def module(kind: str, mark: str, *, flask: bool, postgres: bool, client: str = "") -> str:
    """The whole module.

    `kind` is the way to the database, `mark` the driver's place of a value (`?` or `%s`), `client` the library by which
    `post` posts ("" where nothing is posted by it).
    """
    mapped = kind in MAPPED

    def said(name: str, live: str) -> str:
        text, values = _STATEMENTS[name]
        text += " FOR UPDATE SKIP LOCKED" if postgres and name == "select" else ""
        if mapped:
            return f'{live}.execute(text("{text.format(**{each: f":{each}" for each in values})}"), {{{", ".join(f"{json_name!r}: {value}" for json_name, value in values.items())}}})'.replace("'", '"')
        given = ", ".join(values.values())
        return f'{live}.execute("{text.format(**dict.fromkeys(values, mark))}", ({given}{"," if len(values) == 1 else ""}))'

    caller = "database" if mapped else "_Plain(database)"
    table = "text(TABLE)" if mapped else "TABLE"
    number = "id SERIAL PRIMARY KEY" if postgres else "id INTEGER PRIMARY KEY"
    needs = ("asyncio", "contextlib", "hashlib", "inspect", "json", "logging", "os", "tempfile", "threading", "uuid")
    theirs = [*([f"import {client}"] if client else []), *(["from sqlalchemy import text"] if mapped else [])]
    body = _BODY.format(
        most=_MOST, number=number, post=_POST.format(client=client) if client else "", caller="session" if mapped else "connection", make=f"{caller}.execute({table})", insert=said("insert", caller),
        connected=_WAYS[kind], between="" if postgres else "            live.commit()\n", select=said("select", "live"), done=said("done", "live"), failed=said("failed", "live"),
    )  # fmt: skip
    parts = [
        _TOP.format(most=_MOST, table=TABLE), "".join(f"import {each}\n" for each in needs), "" if flask else "from contextlib import asynccontextmanager\n", "from contextvars import ContextVar\nfrom datetime import datetime, timezone\n",
        "\n" + "".join(f"{each}\n" for each in theirs) if theirs else "", "\ntry:\n    import fcntl\nexcept ImportError:  # Windows: one process delivers.\n    fcntl = None\n", body,
        "" if mapped else _PLAIN, _WRAPPED if kind in {"manager", "generator"} else "", _BEGIN.format(connected=_WAYS[kind], make_live=f"live.execute({table})"), _WSGI if flask else _ASGI,
    ]  # fmt: skip
    return "".join(parts)
