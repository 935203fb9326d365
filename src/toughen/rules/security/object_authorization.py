"""Owns security/object-authorization."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.ownership import aimed, plant, powerful, shows, told
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.sharing import denied, harm, refused, staged, visible
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK, MODELS, MODELS_NEEDS
from toughen.twists import answer, changed, row_facts, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_UNDECIDED = "whether other users may {} this is written nowhere: no listing leaves it out, no sibling refuses it, nothing names it private"


class ObjectAuthorization(Rule):
    """A user reads or changes what belongs to another, by naming its id.

    Who pays: the owner of the data. Ids are counted up, seen in links, or guessed; each can be asked for.

    Shown: one user makes an object; another user of the same role reads a secret that was planted in it, or changes or
    deletes its row. Never claimed where the other may list the object, where anybody may read it, or where nothing in
    the prototype says that it is private.

    Example: `SELECT * FROM accounts WHERE id = ?` in a handler that knows who is logged in and does not use it.
    Instead: `... AND user_id = ?` with the caller's id, answered as not found.

    References: CWE-639; OWASP API1:2023; ASVS 5.0 V8.2.2.
    """

    id = "security/object-authorization"
    title = "A user reads or changes what belongs to another user"
    severity = Severity.CRITICAL
    cwe = (639, 862)
    owasp = "API1:2023"
    asvs = "V8.2.2"
    order = 25

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The owner's own request, sent by another user of the same role; and by nobody; and what the other may list."""
        owner, attacker = target.identity(journey.identity or ""), target.peer(journey.identity or "")
        honest = target.honest(route.id)
        if not target.refuses(route.id) or owner is None or attacker is None or honest is None or powerful(owner):
            return
        if all(each.place is Place.HEADER for each in journey.call.arguments):
            return
        own = aimed(target, journey, owner)
        for planted in plant(target, own, owner):
            yield staged(target, own, owner, attacker, planted)
            if route.method != "GET":
                return

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """R1: the attacker's answer holds the owner's canary; R2: the owner's row changed or went."""
        control, attack, kind = traces["control"], traces["attack"], experiment.fact("kind")
        if not succeeded(control.last):
            return Unclear(f"the owner's own request does not succeed: {answer(control.last)}")
        if kind == "read":
            return self._read(experiment, traces)
        owned = told(experiment.fact)
        marks = [f"tgn{each}" for name, each in attack.markers.items() if name != "owned"]
        strict = experiment.fact("private") == "" and not refused(experiment, traces)
        bad = tuple(each for each in changed(attack) if owned.of_owner(each) and harm(each, marks, attack.last.request_body, strict=strict))
        if not bad:
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(owned.of_owner(each) for each in changed(traces["garbage"])):
            return Fails()
        if bad[0].table.lower() != owned.users and not denied(experiment, traces):
            return Unclear(_UNDECIDED.format("change"))
        verb = "deletes" if any(each.kind == "deleted" for each in bad) else "changes"
        who, whose = experiment.fact("attacker"), experiment.fact("owner")
        return Holds(
            Evidence(
                f"{who} {verb} a row of {bad[0].table} that belongs to {whose}",
                {"request": shown(attack.last), "answer": answer(attack.last), "rows": [*row_facts(bad)], "attacker": who},
                next((each.location for each in reversed(attack.last.statements) if bad[0].table.lower() in each.writes), None),
                access.steer(attack.last, bad[0].table, experiment, bad[0].before),
                key="write",
            )
        )

    def _read(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        control, attack, canary = traces["control"], traces["attack"], experiment.fact("canary")
        if not shows(control, control.last, canary):
            return Unclear("the owner's own answer does not show what was planted")
        if not succeeded(attack.last) or not shows(attack, attack.last, canary):
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(shows(traces[name], traces[name].last, canary) for name in ("anonymous", "garbage")) or visible(experiment, traces, "attacker"):
            return Fails()
        if not denied(experiment, traces):
            return Unclear(_UNDECIDED.format("read"))
        marker = attack.markers.get(canary)
        text = f"tgn{marker}" if marker else canary
        seen = next((each for each in attack.last.statements if any(text in str(value) for row in each.sample for value in row.values())), None)
        table = seen.reads[0] if seen and seen.reads else ""
        return Holds(
            Evidence(
                f"{experiment.fact('attacker')} reads what belongs to {experiment.fact('owner')} ({experiment.fact('field')} holds {text})",
                {"request": shown(attack.last), "answer": answer(attack.last), "attacker": experiment.fact("attacker")},
                seen.location if seen else None, access.steer(attack.last, table, experiment, seen.sample[0] if seen else None), key="read",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The owner in the statement that saw the foreign row, else a comparison after the load."""
        yield from access.scope(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(FLASK + """
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), body TEXT NOT NULL)")

@app.post("/notes")
@login_required
def add_note():
    with db() as conn:
        new = conn.execute("INSERT INTO notes (user_id, body) VALUES (?, ?)", (session["user_id"], request.get_json()["body"])).lastrowid
    return jsonify({"id": new}), 201

@app.get("/notes")
@login_required
def my_notes():
    rows = db().execute("SELECT * FROM notes WHERE user_id = ?", (session["user_id"],)).fetchall()
    return jsonify([dict(row) for row in rows])

@app.get("/notes/<int:note_id>")
@login_required
def one_note(note_id):
    row = db().execute("SELECT * FROM notes WHERE id = ?", (note_id,)).fetchone()
    if row is None:
        return jsonify({"error": "No such note"}), 404
    return jsonify(dict(row))

@app.delete("/notes/<int:note_id>")
@login_required
def drop_note(note_id):
    with db() as conn:
        conn.execute("DELETE FROM notes WHERE id = ?", (note_id,))
    return jsonify({"deleted": note_id})
""", "GET /notes/{note_id}"),
        Broken(FASTAPI + """
class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    owner_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    label = Column(String, nullable=False)
    balance = Column(Float, default=0)

class NewAccount(BaseModel):
    label: str

Base.metadata.create_all(engine)

@app.post("/accounts", status_code=201)
def open_account(data: NewAccount, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    account = Account(owner_id=user.id, label=data.label, balance=100)
    db.add(account)
    db.commit()
    return {"id": account.id}

@app.get("/accounts")
def my_accounts(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return [{"id": each.id, "label": each.label} for each in db.query(Account).filter(Account.owner_id == user.id)]

@app.put("/accounts/{account_id}", dependencies=[Depends(get_current_user)])
def rename(account_id: int, data: NewAccount, db: Session = Depends(get_db)):
    account = db.get(Account, account_id)
    if account is None:
        raise HTTPException(status_code=404, detail="No such account")
    account.label = data.label
    db.commit()
    return {"id": account.id, "label": account.label}
""", "PUT /accounts/{account_id}", FASTAPI_NEEDS),
        Broken(MODELS + """
class Order(db.Model):
    __tablename__ = "orders"
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"), nullable=False)
    address = db.Column(db.String(200))

with app.app_context():
    db.create_all()

@app.route("/orders", methods=["POST"])
def place_order():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    order = Order(user_id=user.id, address=request.get_json()["address"])
    db.session.add(order)
    db.session.commit()
    return jsonify({"id": order.id}), 201

@app.route("/orders/<int:order_id>")
def show_order(order_id):
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    order = Order.query.get(order_id)
    if not order:
        return jsonify({"error": "No such order"}), 404
    return jsonify({"id": order.id, "address": order.address})
""", "GET /orders/{order_id}", MODELS_NEEDS),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK + """
    start.executescript('''CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), title TEXT, body TEXT, likes INTEGER DEFAULT 0);
    CREATE TABLE IF NOT EXISTS comments (id INTEGER PRIMARY KEY, post_id INTEGER REFERENCES posts(id), user_id INTEGER REFERENCES users(id), body TEXT)''')

@app.post("/posts")
@login_required
def write():
    data = request.get_json()
    with db() as conn:
        new = conn.execute("INSERT INTO posts (user_id, title, body) VALUES (?, ?, ?)", (session["user_id"], data["title"], data["body"])).lastrowid
    return jsonify({"id": new}), 201

@app.get("/posts")
@login_required
def posts():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM posts")])

@app.get("/my-posts")
@login_required
def mine():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM posts WHERE user_id = ?", (session["user_id"],))])

@app.get("/posts/<int:post_id>")
@login_required
def post(post_id):
    row = db().execute("SELECT * FROM posts WHERE id = ?", (post_id,)).fetchone()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "Not found"}), 404)

@app.post("/posts/<int:post_id>/like")
@login_required
def like(post_id):
    with db() as conn:
        hit = conn.execute("UPDATE posts SET likes = likes + 1 WHERE id = ?", (post_id,)).rowcount
    return (jsonify({"liked": post_id}), 200) if hit else (jsonify({"error": "Not found"}), 404)

@app.post("/posts/<int:post_id>/comments")
@login_required
def comment(post_id):
    with db() as conn:
        if conn.execute("SELECT id FROM posts WHERE id = ?", (post_id,)).fetchone() is None:
            return jsonify({"error": "Not found"}), 404
        conn.execute("INSERT INTO comments (post_id, user_id, body) VALUES (?, ?, ?)", (post_id, session["user_id"], request.get_json()["body"]))
    return jsonify({"post": post_id}), 201

@app.delete("/posts/<int:post_id>")
@login_required
def remove(post_id):
    with db() as conn:
        hit = conn.execute("DELETE FROM posts WHERE id = ? AND user_id = ?", (post_id, session["user_id"])).rowcount
    return (jsonify({"deleted": post_id}), 200) if hit else (jsonify({"error": "Not found"}), 404)
""", "a blog: every user may read, like and comment on every post, and only its author deletes it"),
        Sound(FASTAPI + """
class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    owner_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    balance = Column(Float, default=0)

class Transfer(BaseModel):
    from_account: int
    to_account: int
    amount: float

Base.metadata.create_all(engine)

@app.post("/accounts", status_code=201)
def open_account(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    account = Account(owner_id=user.id, balance=100)
    db.add(account)
    db.commit()
    return {"id": account.id}

@app.get("/accounts/{account_id}")
def show(account_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    account = db.query(Account).filter(Account.id == account_id, Account.owner_id == user.id).first()
    if account is None:
        raise HTTPException(status_code=404, detail="No such account")
    return {"id": account.id, "balance": account.balance}

@app.post("/transfers")
def transfer(data: Transfer, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    source = db.query(Account).filter(Account.id == data.from_account, Account.owner_id == user.id).first()
    target = db.get(Account, data.to_account)
    if source is None or target is None:
        raise HTTPException(status_code=404, detail="No such account")
    if data.amount <= 0 or source.balance < data.amount:
        raise HTTPException(status_code=400, detail="Not enough money")
    source.balance -= data.amount
    target.balance += data.amount
    db.commit()
    return {"balance": source.balance}
""", "money goes from the caller's own account to anybody's", FASTAPI_NEEDS),
        Sound(FLASK + """
    start.executescript('''CREATE TABLE IF NOT EXISTS teams (id INTEGER PRIMARY KEY, name TEXT);
    INSERT OR IGNORE INTO teams (id, name) VALUES (1, 'Everybody');
    CREATE TABLE IF NOT EXISTS members (team_id INTEGER REFERENCES teams(id), user_id INTEGER REFERENCES users(id));
    CREATE TRIGGER IF NOT EXISTS joined AFTER INSERT ON users BEGIN INSERT INTO members (team_id, user_id) VALUES (1, NEW.id); END;
    CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, team_id INTEGER REFERENCES teams(id), created_by INTEGER REFERENCES users(id), title TEXT)''')

def member(conn, team_id):
    return conn.execute("SELECT 1 FROM members WHERE team_id = ? AND user_id = ?", (team_id, session["user_id"])).fetchone() is not None

@app.post("/tasks")
@login_required
def add():
    with db() as conn:
        new = conn.execute("INSERT INTO tasks (team_id, created_by, title) VALUES (1, ?, ?)", (session["user_id"], request.get_json()["title"])).lastrowid
    return jsonify({"id": new}), 201

@app.put("/tasks/<int:task_id>")
@login_required
def edit(task_id):
    with db() as conn:
        task = conn.execute("SELECT * FROM tasks WHERE id = ?", (task_id,)).fetchone()
        if task is None or not member(conn, task["team_id"]):
            return jsonify({"error": "Not found"}), 404
        conn.execute("UPDATE tasks SET title = ? WHERE id = ?", (request.get_json()["title"], task_id))
    return jsonify({"id": task_id})

@app.get("/my-tasks")
@login_required
def mine():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM tasks WHERE created_by = ?", (session["user_id"],))])
""", "a board that members of one team share: they edit each other's tasks"),
        Sound(FLASK + """
    start.execute("CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), slug TEXT UNIQUE, body TEXT)")

@app.post("/documents")
@login_required
def add():
    data = request.get_json()
    with db() as conn:
        new = conn.execute("INSERT INTO documents (user_id, slug, body) VALUES (?, hex(randomblob(8)), ?)", (session["user_id"], data["body"])).lastrowid
        slug = conn.execute("SELECT slug FROM documents WHERE id = ?", (new,)).fetchone()["slug"]
    return jsonify({"slug": slug}), 201

@app.get("/documents")
@login_required
def mine():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM documents WHERE user_id = ?", (session["user_id"],))])

@app.get("/shared/<slug>")
def shared(slug):
    row = db().execute("SELECT body FROM documents WHERE slug = ?", (slug,)).fetchone()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "Not found"}), 404)
""", "a document is shared with everybody who has its link"),
    ]
