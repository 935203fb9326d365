"""What looks like a break of access and is meant, beside the same prototype with one thing wrong: each booted and attacked for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK, MODELS, MODELS_NEEDS

if TYPE_CHECKING:
    from pathlib import Path

NOBODY, OTHERS = "security/no-authentication", "security/object-authorization"


def proven(root: Path, rule: str, source: str, needs: tuple[str, ...]) -> set[str]:
    """Routes on which the rule proves its break; the prototype's routes were reached."""
    (root / "main.py").write_text(source)
    (root / "requirements.txt").write_text("\n".join(needs) + "\n")
    verdict = Run(root, config.read(root, only=(rule,))).check()
    assert verdict.journeys, verdict.why
    return {each.route or "" for each in verdict.findings if each.status is Status.PROVEN}


def changed(source: str, *changes: tuple[str, str]) -> str:
    """The source with each text replaced, which must be there."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


SHOP = FLASK + '''
    start.executescript("""CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER);
    CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, product_id INTEGER REFERENCES products(id), quantity INTEGER);
    CREATE TABLE IF NOT EXISTS reviews (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), text TEXT);
    CREATE TABLE IF NOT EXISTS notices (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), text TEXT)""")

@app.post("/products")
@login_required
def add():
    data = request.get_json()
    with db() as conn:
        new = conn.execute("INSERT INTO products (name, stock) VALUES (?, ?)", (str(data["name"]), int(data["stock"]))).lastrowid
    return jsonify({"id": new}), 201

@app.put("/products/<int:product_id>")
@login_required
def change(product_id):
    data = request.get_json()
    with db() as conn:
        if not conn.execute("UPDATE products SET name = ?, stock = ? WHERE id = ?", (str(data["name"]), int(data["stock"]), product_id)).rowcount:
            return jsonify({"error": "no such product"}), 404
    return jsonify({"ok": True})

@app.post("/buy")
def buy():
    data = request.get_json()
    with db() as conn:
        if not conn.execute("UPDATE products SET stock = stock - 1 WHERE id = ? AND stock > 0", (data["product_id"],)).rowcount:
            return jsonify({"error": "sold out"}), 409
        new = conn.execute("INSERT INTO orders (product_id, quantity) VALUES (?, 1)", (data["product_id"],)).lastrowid
    return jsonify({"id": new}), 201

@app.post("/reviews")
@login_required
def review():
    with db() as conn:
        new = conn.execute("INSERT INTO reviews (user_id, text) VALUES (?, ?)", (session["user_id"], str(request.get_json()["text"]))).lastrowid
        conn.execute("INSERT INTO notices (user_id, text) VALUES (?, 'written')", (session["user_id"],))
    return jsonify({"id": new}), 201

@app.post("/reviews/<int:review_id>/thanks")
def thank(review_id):
    with db() as conn:
        row = conn.execute("SELECT user_id FROM reviews WHERE id = ?", (review_id,)).fetchone()
        if row is None:
            return jsonify({"error": "no such review"}), 404
        conn.execute("INSERT INTO notices (user_id, text) VALUES (?, 'thanks')", (row["user_id"],))
    return jsonify({"ok": True})
'''


def test_guests_may_buy_and_thank_but_not_edit(tmp_path: Path) -> None:
    """The server takes from the stock and writes a notice by the way; who says himself what stands in the row edits it."""
    edit = changed(SHOP, ('@app.post("/buy")', """@app.patch("/products/<int:product_id>")
def patch(product_id):
    with db() as conn:
        if not conn.execute("UPDATE products SET name = ? WHERE id = ?", (str(request.get_json()["name"]), product_id)).rowcount:
            return jsonify({"error": "no such product"}), 404
    return jsonify({"ok": True})

@app.post("/buy")"""))
    assert proven(tmp_path, NOBODY, edit, ("flask",)) == {"PATCH /products/{product_id}"}


VISITS = FLASK.replace("import sqlite3", "import secrets\nimport sqlite3") + """
    start.execute("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), guest TEXT, ref TEXT UNIQUE)")

@app.post("/visits")
@login_required
def make():
    with db() as conn:
        ref = secrets.token_urlsafe(12)
        new = conn.execute("INSERT INTO visits (user_id, guest, ref) VALUES (?, ?, ?)", (session["user_id"], str(request.get_json()["guest"]), ref)).lastrowid
    return jsonify({"id": new, "ref": ref}), 201

@app.delete("/visits/<int:visit_id>")
@login_required
def drop(visit_id):
    with db() as conn:
        if not conn.execute("DELETE FROM visits WHERE id = ? AND user_id = ?", (visit_id, session["user_id"])).rowcount:
            return jsonify({"error": "no such visit"}), 404
    return jsonify({"ok": True})

@app.delete("/v/<ref>")
def cancel(ref):
    with db() as conn:
        if not conn.execute("DELETE FROM visits WHERE ref = ?", (ref,)).rowcount:
            return jsonify({"error": "no such visit"}), 404
    return jsonify({"ok": True})
"""


@pytest.mark.parametrize("guessed", [False, pytest.param(True, marks=pytest.mark.long)], ids=["drawn", "counted"])
def test_a_link_that_nobody_can_guess_is_a_right(tmp_path: Path, guessed: bool) -> None:  # noqa: FBT001
    """Who holds the link of an appointment cancels it without logging in; one that is counted up is everybody's."""
    source = changed(VISITS, ("secrets.token_urlsafe(12)", "str(conn.execute('SELECT count(*) FROM visits').fetchone()[0] + 1)")) if guessed else VISITS
    assert proven(tmp_path, NOBODY, source, ("flask",)) == ({"DELETE /v/{ref}"} if guessed else set())


KEYED = FASTAPI + """
from fastapi import Header

class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(String)

class NewItem(BaseModel):
    name: str

Base.metadata.create_all(engine)

def api_key(x_api_key: str = Header()):
    if x_api_key != "key-of-the-warehouse-1":
        raise HTTPException(403, "Wrong key")

@app.post("/items", status_code=201)
def add(data: NewItem, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    item = Item(name=data.name)
    db.add(item)
    db.commit()
    return {"id": item.id}

@app.delete("/items/{item_id}", dependencies=[Depends(api_key)])
def drop(item_id: int, db: Session = Depends(get_db)):
    item = db.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "No such item")
    db.delete(item)
    db.commit()
    return {"ok": True}
"""


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_key_in_a_header_is_a_credential(tmp_path: Path, asked: bool) -> None:  # noqa: FBT001
    """A stranger knows no API key, also where the honest request sends one and nobody logs in; without the key's guard anybody deletes."""
    source = KEYED if asked else changed(KEYED, (", dependencies=[Depends(api_key)]", ""))
    assert proven(tmp_path, NOBODY, source, FASTAPI_NEEDS) == (set() if asked else {"DELETE /items/{item_id}"})


def test_a_guard_that_checks_nothing_is_none(tmp_path: Path) -> None:
    """A declared guard that hands on whatever it was given takes a made-up credential."""
    start = FASTAPI.index("    try:\n        payload = jwt.decode")
    end = FASTAPI.index('@app.post("/register"')
    nothing = FASTAPI[:start] + "    return credentials.credentials\n\n" + FASTAPI[end:]
    source = nothing + KEYED[len(FASTAPI) :].replace(", dependencies=[Depends(api_key)]", "").replace("user: User = Depends", "user: str = Depends")
    assert "POST /items" in proven(tmp_path, NOBODY, source, FASTAPI_NEEDS)


ADS = MODELS + """
class Ad(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    user_id = db.Column(db.Integer, db.ForeignKey("user.id"), nullable=False)
    title = db.Column(db.String(80), nullable=False)
    user = db.relationship(User)

with app.app_context():
    db.create_all()
    if not User.query.first():
        for name in ("ann", "bob"):
            user = User(email=f"{name}@example.org", password="secret-" + name)
            db.session.add(user)
            db.session.flush()
            db.session.add(Ad(user_id=user.id, title="Bike of " + name))
        db.session.commit()

@app.route("/me")
def me():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify({"email": user.email})

@app.route("/ads")
def ads():
    return jsonify([{"title": each.title, "contact": each.user.email} for each in Ad.query.all()])
"""


@pytest.mark.parametrize("everybody", [False, pytest.param(True, marks=pytest.mark.long)], ids=["sellers", "everybody"])
def test_a_seller_s_address_is_meant_to_be_read(tmp_path: Path, everybody: bool) -> None:  # noqa: FBT001
    """An advertisement shows how to reach its seller; a listing of all users shows the addresses of those who never offered one."""
    shown = ('[{"title": each.title, "contact": each.user.email} for each in Ad.query.all()]', '[{"contact": each.email} for each in User.query.all()]')
    source = changed(ADS, shown) if everybody else ADS
    assert proven(tmp_path, NOBODY, source, MODELS_NEEDS) == ({"GET /ads"} if everybody else set())


SOCIAL = FASTAPI.replace(
    "    password = Column(String, nullable=False)\n", '    password = Column(String, nullable=False)\n    bio = Column(String, default="hello")\n'
) + """
class Letter(Base):
    __tablename__ = "letters"
    id = Column(Integer, primary_key=True)
    sender_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    recipient_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    text = Column(String)

class Pot(Base):
    __tablename__ = "pots"
    id = Column(Integer, primary_key=True)
    owner_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    cents = Column(Integer, default=0)

class NewLetter(BaseModel):
    recipient_id: int
    text: str

class NewPot(BaseModel):
    cents: int

class Bio(BaseModel):
    bio: str

Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "bio": user.bio}

@app.get("/users/{user_id}")
def profile(user_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(404, "No such user")
    return {"id": found.id, "bio": found.bio}

@app.put("/users/{user_id}")
def change(user_id: int, data: Bio, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    if user.id != user_id:
        raise HTTPException(403, "Not you")
    found = db.get(User, user_id)
    found.bio = data.bio
    db.commit()
    return {"id": found.id}

@app.post("/letters", status_code=201)
def send(data: NewLetter, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    if db.get(User, data.recipient_id) is None:
        raise HTTPException(404, "No such user")
    letter = Letter(sender_id=user.id, recipient_id=data.recipient_id, text=data.text)
    db.add(letter)
    db.commit()
    return {"id": letter.id}

@app.get("/letters")
def sent(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return [{"id": each.id, "text": each.text} for each in db.query(Letter).filter(Letter.sender_id == user.id)]

@app.get("/letters/{letter_id}")
def read(letter_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    letter = db.query(Letter).filter(Letter.id == letter_id, (Letter.sender_id == user.id) | (Letter.recipient_id == user.id)).first()
    if letter is None:
        raise HTTPException(404, "No such letter")
    return {"id": letter.id, "text": letter.text}

@app.post("/pots", status_code=201)
def save(data: NewPot, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    pot = Pot(owner_id=user.id, cents=data.cents)
    db.add(pot)
    db.commit()
    return {"id": pot.id}

@app.get("/pots")
def mine(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return [{"id": each.id, "cents": each.cents} for each in db.query(Pot).filter(Pot.owner_id == user.id)]

@app.get("/pots/{pot_id}")
def pot(pot_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.query(Pot).filter(Pot.id == pot_id, Pot.owner_id == user.id).first()
    if found is None:
        raise HTTPException(404, "No such pot")
    return {"cents": found.cents}
"""
UNASKED = (
    ('    if user.id != user_id:\n        raise HTTPException(403, "Not you")\n', ""),
    (", (Letter.sender_id == user.id) | (Letter.recipient_id == user.id)", ""),
    ("Pot.id == pot_id, Pot.owner_id == user.id", "Pot.id == pot_id"),
)


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.long)])
def test_profiles_and_letters_are_read_by_whom_they_are_meant_for(tmp_path: Path, asked: bool) -> None:  # noqa: FBT001
    """One's own page is no listing, and who may not edit a profile may read it; a recipient reads. Unasked, others edit and read, numbers too."""
    source = SOCIAL if asked else changed(SOCIAL, *UNASKED)
    broken = {"PUT /users/{user_id}", "GET /letters/{letter_id}", "GET /pots/{pot_id}"}
    assert proven(tmp_path, OTHERS, source, FASTAPI_NEEDS) == (set() if asked else broken)


AUCTIONS = FLASK.replace("import sqlite3", "import secrets\nimport sqlite3") + """
    start.execute("CREATE TABLE IF NOT EXISTS auctions (id INTEGER PRIMARY KEY, seller_id INTEGER REFERENCES users(id), title TEXT, slug TEXT, price INTEGER DEFAULT 1, winner_id INTEGER)")

@app.post("/auctions")
@login_required
def start_auction():
    slug = secrets.token_urlsafe(12)
    with db() as conn:
        new = conn.execute("INSERT INTO auctions (seller_id, title, slug) VALUES (?, ?, ?)", (session["user_id"], request.get_json()["title"], slug)).lastrowid
    return jsonify({"id": new, "slug": slug}), 201

@app.get("/auctions")
@login_required
def mine():
    return jsonify([dict(each) for each in db().execute("SELECT * FROM auctions WHERE seller_id = ?", (session["user_id"],))])

@app.get("/a/<slug>")
@login_required
def show(slug):
    row = db().execute("SELECT * FROM auctions WHERE slug = ?", (slug,)).fetchone()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "no such auction"}), 404)

@app.put("/auctions/<int:auction_id>")
@login_required
def change(auction_id):
    with db() as conn:
        if not conn.execute("UPDATE auctions SET title = ? WHERE id = ? AND seller_id = ?", (request.get_json()["title"], auction_id, session["user_id"])).rowcount:
            return jsonify({"error": "no such auction"}), 404
    return jsonify({"ok": True})

@app.post("/a/<slug>/bids")
@login_required
def bid(slug):
    amount = int(request.get_json()["amount"])
    with db() as conn:
        if not conn.execute("UPDATE auctions SET price = ?, winner_id = ? WHERE slug = ? AND price < ?", (amount, session["user_id"], slug, amount)).rowcount:
            return jsonify({"error": "too low"}), 400
    return jsonify({"ok": True})
"""


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.long)])
def test_others_bid_on_what_they_may_not_edit(tmp_path: Path, asked: bool) -> None:  # noqa: FBT001
    """By its link others see an auction and bid on it, though only its seller edits it; where anybody edits it, that alone is proven."""
    source = AUCTIONS if asked else changed(
        AUCTIONS, ("WHERE id = ? AND seller_id = ?", "WHERE id = ?"), ('request.get_json()["title"], auction_id, session["user_id"]', 'request.get_json()["title"], auction_id')
    )
    assert proven(tmp_path, OTHERS, source, ("flask",)) == (set() if asked else {"PUT /auctions/{auction_id}"})


TEAM = FASTAPI.replace(
    "    db.add(User(username=data.username, password=data.password))\n",
    "    user = User(username=data.username, password=data.password)\n    db.add(user)\n    db.flush()\n    db.add(Member(user_id=user.id, project_id=1))\n",
) + """
class Member(Base):
    __tablename__ = "members"
    id = Column(Integer, primary_key=True)
    project_id = Column(Integer)
    user_id = Column(Integer, ForeignKey("users.id"))

class Task(Base):
    __tablename__ = "tasks"
    id = Column(Integer, primary_key=True)
    project_id = Column(Integer)
    author_id = Column(Integer, ForeignKey("users.id"))
    title = Column(String)

class NewTask(BaseModel):
    title: str

Base.metadata.create_all(engine)

@app.post("/tasks", status_code=201)
def add(data: NewTask, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    task = Task(project_id=1, author_id=user.id, title=data.title)
    db.add(task)
    db.commit()
    return {"id": task.id}

@app.get("/tasks/mine")
def mine(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return [{"id": each.id, "title": each.title} for each in db.query(Task).filter(Task.author_id == user.id)]

def of_member(task_id, db, user):
    task = db.query(Task).join(Member, Member.project_id == Task.project_id).filter(Task.id == task_id, Member.user_id == user.id).first()
    if task is None:
        raise HTTPException(404, "No such task")
    return task

@app.get("/tasks/{task_id}")
def one(task_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return {"title": of_member(task_id, db, user).title}

@app.put("/tasks/{task_id}")
def change(task_id: int, data: NewTask, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    task = of_member(task_id, db, user)
    task.title = data.title
    db.commit()
    return {"id": task_id}
"""


@pytest.mark.parametrize("joined", [True, pytest.param(False, marks=pytest.mark.long)])
def test_members_share_what_is_joined_with_their_membership(tmp_path: Path, joined: bool) -> None:  # noqa: FBT001
    """Where the statement asks for the caller's membership, others of his project read and edit; without it, everybody does."""
    source = TEAM if joined else changed(TEAM, (".join(Member, Member.project_id == Task.project_id).filter(Task.id == task_id, Member.user_id == user.id)", ".filter(Task.id == task_id)"))
    assert proven(tmp_path, OTHERS, source, FASTAPI_NEEDS) == (set() if joined else {"GET /tasks/{task_id}", "PUT /tasks/{task_id}"})
