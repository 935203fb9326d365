"""Owns whole sample backends as an AI assistant writes them: grounds that an example puts its handler on, and apps that are right."""

from __future__ import annotations

from toughen.specimens import FASTAPI, FLASK, MODELS, SESSION

NOTES = FLASK + """
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
"""
"""Notes with an owner: each lists and adds his own."""

ACCOUNTS = FASTAPI + """
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
"""
"""Accounts with an owner: each opens and lists his own."""

BANK = ACCOUNTS + """
class Transfer(BaseModel):
    from_account: int
    to_account: int
    amount: float

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
"""
"""Money goes from the caller's own account to anybody's."""

ORDERS = MODELS + """
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
"""
"""Orders with an owner and an address; placed by whoever is logged in."""

ITEMS = FLASK + """
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
"""
"""Items that anybody may list, and only somebody who is logged in may add."""

PEOPLE = FASTAPI + """
Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username}

@app.get("/users/{user_id}")
def profile(user_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(status_code=404, detail="Not found")
    return {"id": found.id, "username": found.username}
"""
"""One's own profile and that of others, for somebody who is logged in."""

BLOG = FLASK + """
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
"""
"""Every user may read, like and comment on every post, and only its author deletes it."""

BOARD = FLASK + """
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
"""
"""Tasks of a team: its members edit each other's."""

DOCUMENTS = FLASK + """
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
"""
"""Documents with an owner, shared with everybody who has the link."""

DOORS = FLASK + """
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
"""
"""What must be open: a contact form, a newsletter, short links, a new password by code."""

CATALOGUE = MODELS + """
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
"""
"""Products for everybody, orders for their owners, and a route for administrators."""

TICKETS = SESSION + """
class Ticket(Base):
    __tablename__ = "tickets"
    id = Column(Integer, primary_key=True)
    show = Column(String)
    remaining = Column(Integer)

Base.metadata.create_all(engine)

@app.post("/tickets")
def create(show: str, remaining: int, db: Session = Depends(get_db)):
    ticket = Ticket(show=show, remaining=remaining)
    db.add(ticket)
    db.commit()
    db.refresh(ticket)
    return {"id": ticket.id}
"""
"""Tickets of a show, each with how many are left; nobody logs in."""
