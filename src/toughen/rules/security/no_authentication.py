"""Owns security/no-authentication."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access
from toughen.doors import guarded_reads, guarded_writes, is_door, moved, siblings_of, stranger
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK, MODELS, MODELS_NEEDS
from toughen.twists import answer, changed, holds, row_facts, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class NoAuthentication(Rule):
    """Somebody who never logged in changes or reads what belongs to users.

    Who pays: every user. The route can be called by anybody who knows its address; that a button is hidden on the screen
    protects nothing.

    Shown: a request without a credential deletes or changes rows that other routes change only for somebody who is
    logged in, or shows what is secret; or a credential that was made up is taken where none is refused. Doors (sign-up,
    log-in, reset, webhooks, contact forms, counters) are left alone.

    Example: `@app.delete("/users/{id}")` without the dependency that its sibling routes have.
    Instead: the guard that the sibling routes use, on this route too.

    References: CWE-306; OWASP API2:2023; ASVS 5.0 V6.3.1.
    """

    id = "security/no-authentication"
    title = "Nobody needs to log in to change or read what belongs to users"
    severity = Severity.CRITICAL
    cwe = (306, 862)
    owasp = "API2:2023"
    asvs = "V6.3.1"
    order = 20

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The route's own call without a credential (or with a made-up one), on the rows of users."""
        if target.honest(route.id) is None or not target.identities or is_door(target, journey):
            return
        siblings = siblings_of(target, journey)
        detail = (("siblings", ",".join(siblings)),)
        if target.refuses(route.id):
            if route.guards and journey.identity:
                garbage = Trial((*journey.calls[:-1], journey.call.by(target.forged_identity)), journey.grants)
                nobody = Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants)
                yield Experiment(
                    {"control": Trial(journey.calls, journey.grants), "nobody": nobody, "anonymous": garbage}, "with a made-up credential", (("kind", "garbage"), *detail)
                )
            return
        control = stranger(target, journey, siblings)
        if control is None:
            return
        anonymous = Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants)
        yield Experiment({"control": control, "anonymous": anonymous}, "without a credential", (("kind", "write"), *guarded_writes(target, journey), *detail))
        for grant, column in guarded_reads(target, journey):
            grants = (*journey.grants, grant)
            yield Experiment(
                {"control": Trial(control.calls, grants), "anonymous": Trial(anonymous.calls, grants)},
                f"{column} of a user", (("kind", "read"), ("planted", str(grant.value)), ("column", column), *detail),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """An anonymous request changes rows that others' requests are refused for, or shows what is private."""
        control, anonymous, kind = traces["control"], traces["anonymous"], experiment.fact("kind")
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not succeeded(anonymous.last):
            return Fails()
        facts = {"request": shown(anonymous.last), "answer": answer(anonymous.last)}
        siblings = (("siblings", experiment.fact("siblings")),)
        if kind == "read":
            planted, column = experiment.fact("planted"), experiment.fact("column")
            if not holds(anonymous.last, planted):
                return Fails()
            return Holds(Evidence(f"an anonymous request reads {column} of a user ({planted!r} was planted there)", {**facts, "planted": planted}, None, siblings))
        if kind == "garbage":
            nobody = traces["nobody"].last.status
            same = {each.table for each in changed(control)} & {each.table for each in changed(anonymous)}
            if nobody not in {401, 403} or not same:
                return Fails()
            return Holds(Evidence(f"a made-up credential is taken: rows of {min(same)} change", {**facts, "rows": [*row_facts(changed(anonymous))]}, None, siblings))
        bad = moved(changed(anonymous), experiment)
        if not bad:
            return Fails()
        verb = "deletes" if any(each.kind == "deleted" for each in bad) else "changes" if any(each.kind == "updated" for each in bad) else "adds"
        return Holds(Evidence(f"an anonymous request {verb} rows of {bad[0].table}", {**facts, "rows": [*row_facts(bad)]}, None, siblings))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The guard of a sibling that was seen to refuse a stranger."""
        yield from access.guarded(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(FLASK + """
    start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL)")

@app.get("/items")
def items():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM items")])

@app.post("/items")
@login_required
def add():
    data = request.get_json()
    with db() as conn:
        new = conn.execute("INSERT INTO items (name, price) VALUES (?, ?)", (data["name"], data["price"])).lastrowid
    return jsonify({"id": new}), 201

@app.delete("/items/<int:item_id>")
def drop(item_id):
    with db() as conn:
        hit = conn.execute("DELETE FROM items WHERE id = ?", (item_id,)).rowcount
    return (jsonify({"deleted": item_id}), 200) if hit else (jsonify({"error": "Not found"}), 404)
""", "DELETE /items/{item_id}"),
        Broken(FASTAPI + """
Base.metadata.create_all(engine)

class Rename(BaseModel):
    username: str

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username}

@app.get("/users/{user_id}")
def profile(user_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(status_code=404, detail="Not found")
    return {"id": found.id, "username": found.username}

@app.get("/users")
def everybody(db: Session = Depends(get_db)):
    return [{"id": each.id, "username": each.username, "password": each.password} for each in db.query(User).all()]

@app.delete("/users/{user_id}")
def remove(user_id: int, db: Session = Depends(get_db)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(status_code=404, detail="Not found")
    db.delete(found)
    db.commit()
    return {"deleted": user_id}
""", "GET /users", FASTAPI_NEEDS),
        Broken(MODELS + """
with app.app_context():
    db.create_all()

@app.route("/me")
def me():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify({"email": user.email})

@app.route("/debug/users")
def debug():
    return jsonify([{"email": each.email, "password": each.password} for each in User.query.all()])
""", "GET /debug/users", MODELS_NEEDS),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK + """
    start.executescript('''CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, email TEXT, body TEXT);
    CREATE TABLE IF NOT EXISTS readers (id INTEGER PRIMARY KEY, email TEXT UNIQUE);
    CREATE TABLE IF NOT EXISTS links (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), url TEXT, clicks INTEGER DEFAULT 0);
    CREATE TABLE IF NOT EXISTS codes (username TEXT, code TEXT)''')

@app.post("/contact")
def contact():
    data = request.get_json()
    with db() as conn:
        conn.execute("INSERT INTO messages (email, body) VALUES (?, ?)", (data["email"], data["body"]))
    return jsonify({"message": "sent"}), 201

@app.get("/messages")
@login_required
def messages():
    return jsonify([dict(row) for row in db().execute("SELECT * FROM messages")])

@app.delete("/messages/<int:message_id>")
@login_required
def drop(message_id):
    with db() as conn:
        hit = conn.execute("DELETE FROM messages WHERE id = ?", (message_id,)).rowcount
    return (jsonify({"deleted": message_id}), 200) if hit else (jsonify({"error": "Not found"}), 404)

@app.post("/updates")
def updates():
    with db() as conn:
        conn.execute("INSERT OR IGNORE INTO readers (email) VALUES (?)", (request.get_json()["email"],))
    return jsonify({"message": "subscribed"}), 201

@app.delete("/readers/<int:reader_id>")
@login_required
def unlist(reader_id):
    with db() as conn:
        conn.execute("DELETE FROM readers WHERE id = ?", (reader_id,))
    return jsonify({"deleted": reader_id})

@app.post("/links")
@login_required
def shorten():
    with db() as conn:
        new = conn.execute("INSERT INTO links (user_id, url) VALUES (?, ?)", (session["user_id"], request.get_json()["url"])).lastrowid
    return jsonify({"id": new}), 201

@app.get("/go/<int:link_id>")
def go(link_id):
    with db() as conn:
        row = conn.execute("SELECT url FROM links WHERE id = ?", (link_id,)).fetchone()
        if row is None:
            return jsonify({"error": "Not found"}), 404
        conn.execute("UPDATE links SET clicks = clicks + 1 WHERE id = ?", (link_id,))
    return jsonify({"url": row["url"]})

@app.post("/password/forgot")
def forgot():
    with db() as conn:
        conn.execute("INSERT INTO codes (username, code) VALUES (?, hex(randomblob(4)))", (request.get_json()["username"],))
    return jsonify({"message": "look into your mail"})

@app.post("/password/new")
def new_password():
    data = request.get_json()
    with db() as conn:
        if conn.execute("SELECT 1 FROM codes WHERE username = ? AND code = ?", (data["username"], data["code"])).fetchone() is None:
            return jsonify({"error": "Wrong code"}), 400
        conn.execute("UPDATE users SET password = ? WHERE username = ?", (generate_password_hash(data["password"]), data["username"]))
        conn.execute("DELETE FROM codes WHERE username = ?", (data["username"],))
    return jsonify({"message": "changed"})
""", "doors that must be open: contact form, newsletter, short links, a new password by code"),
        Sound(MODELS + """
class Product(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80))
    views = db.Column(db.Integer, default=0)

class Order(db.Model):
    __tablename__ = "orders"
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"))
    product_id = db.Column(db.Integer, db.ForeignKey("product.id"))

with app.app_context():
    db.create_all()
    if not Product.query.first():
        db.session.add(Product(name="Tea"))
        db.session.commit()

@app.route("/products")
def products():
    return jsonify([{"id": each.id, "name": each.name} for each in Product.query.all()])

@app.route("/products/<int:product_id>")
def product(product_id):
    found = db.get_or_404(Product, product_id)
    found.views += 1
    db.session.commit()
    return jsonify({"id": found.id, "name": found.name})

@app.route("/products", methods=["POST"])
def add_product():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    if user.role != "admin":
        return jsonify({"error": "Admins only"}), 403
    made = Product(name=request.get_json()["name"])
    db.session.add(made)
    db.session.commit()
    return jsonify({"id": made.id}), 201

@app.route("/orders", methods=["POST"])
def order():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    made = Order(user_id=user.id, product_id=db.get_or_404(Product, request.get_json()["product_id"]).id)
    db.session.add(made)
    db.session.commit()
    return jsonify({"id": made.id}), 201

@app.route("/orders")
def orders():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify([{"id": each.id} for each in Order.query.filter_by(user_id=user.id)])
""", "the catalogue is open to everybody; orders and the admin's routes are not", MODELS_NEEDS),
    ]
