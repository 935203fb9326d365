"""Owns sample backends in which some may more than others: a role in the user's row, and a guard that asks for it."""

from __future__ import annotations

from toughen.specimens import FASTAPI, FLASK

STAFF = FASTAPI.replace("    password = Column(String, nullable=False)\n", '    password = Column(String, nullable=False)\n    role = Column(String, nullable=False, default="user")\n') + """
class Product(Base):
    __tablename__ = "products"
    id = Column(Integer, primary_key=True)
    name = Column(String, nullable=False)
    price = Column(Float, nullable=False)
    stock = Column(Integer, nullable=False, default=0)

class NewProduct(BaseModel):
    name: str
    price: float
    stock: int = 10

Base.metadata.create_all(engine)

def admin_only(user: User = Depends(get_current_user)):
    if user.role != "admin":
        raise HTTPException(status_code=403, detail="Administrators only")
    return user

@app.get("/products")
def products(db: Session = Depends(get_db)):
    return [{"id": each.id, "name": each.name, "price": each.price, "stock": each.stock} for each in db.query(Product)]

@app.post("/products", status_code=201)
def add(data: NewProduct, admin: User = Depends(admin_only), db: Session = Depends(get_db)):
    made = Product(name=data.name, price=data.price, stock=data.stock)
    db.add(made)
    db.commit()
    return {"id": made.id}
"""
"""FastAPI: products that an administrator adds."""

STAFF_FLASK = FLASK.replace("password TEXT NOT NULL)", "password TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'user')") + """
    start.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL)")
    start.execute("CREATE TABLE IF NOT EXISTS suggestions (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), text TEXT NOT NULL)")

def admin_required(view):
    @wraps(view)
    def wrapped(*args, **kwargs):
        user = db().execute("SELECT role FROM users WHERE id = ?", (session.get("user_id"),)).fetchone()
        if user is None:
            return jsonify({"error": "Log in first"}), 401
        if user["role"] != "admin":
            return jsonify({"error": "Administrators only"}), 403
        return view(*args, **kwargs)
    return wrapped

@app.get("/products")
def products():
    return jsonify([dict(each) for each in db().execute("SELECT * FROM products")])

@app.post("/products")
@admin_required
def add_product():
    data = request.get_json()
    with db() as conn:
        made = conn.execute("INSERT INTO products (name, price) VALUES (?, ?)", (str(data["name"]), float(data["price"])))
    return jsonify({"id": made.lastrowid}), 201
"""
"""Flask: products that an administrator adds, suggestions of users."""
CLUB = FLASK.replace("password TEXT NOT NULL)", "password TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'player')").replace("with db() as start:", """@app.put("/players/<int:player_id>/role")
@login_required
def appoint(player_id):
    me = db().execute("SELECT role FROM users WHERE id = ?", (session["user_id"],)).fetchone()
    if me is None or me["role"] != "trainer":
        return jsonify({"error": "Trainers only"}), 403
    role = request.get_json().get("role")
    if role not in ("player", "trainer"):
        return jsonify({"error": "No such role"}), 400
    with db() as conn:
        hit = conn.execute("UPDATE users SET role = ? WHERE id = ?", (role, player_id)).rowcount
    return (jsonify({"role": role}), 200) if hit else (jsonify({"error": "No such player"}), 404)

with db() as start:""")
"""Trainers say who is a trainer."""
