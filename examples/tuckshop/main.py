from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy import text
from sqlalchemy.orm import Session

import auth
import models
import schemas
from database import Base, SessionLocal, engine, get_db

Base.metadata.create_all(bind=engine)


def seed():
    """Put a few things on the shelves so that the demo looks alive."""
    db = SessionLocal()
    if db.query(models.Product).count() == 0:
        db.add_all(
            [
                models.Product(name="Cheese roll", description="Fresh every morning", price=250, stock=40),
                models.Product(name="Apple", description="From the orchard behind the gym", price=50, stock=120),
                models.Product(name="Oat bar", description="With honey", price=120, stock=60),
            ]
        )
        db.add_all(
            [
                models.Voucher(code="WELCOME5", amount=500),
                models.Voucher(code="EXAMWEEK", amount=300),
            ]
        )
        db.commit()
    db.close()


@asynccontextmanager
async def lifespan(app: FastAPI):
    seed()
    yield


app = FastAPI(title="Tuckshop API", version="1.0.0", lifespan=lifespan)


@app.get("/")
def root():
    return {"name": "tuckshop", "status": "ok"}


# ---------- Auth ----------


@app.post("/signup", response_model=schemas.UserOut, status_code=201)
def signup(payload: schemas.UserCreate, db: Session = Depends(get_db)):
    existing = (
        db.query(models.User)
        .filter((models.User.username == payload.username) | (models.User.email == payload.email))
        .first()
    )
    if existing:
        raise HTTPException(status_code=400, detail="Username or email already registered")
    user = models.User(
        username=payload.username,
        email=payload.email,
        password_hash=auth.hash_password(payload.password),
        display_name=payload.username,
    )
    db.add(user)
    db.commit()
    db.refresh(user)
    return user


@app.post("/login", response_model=schemas.Token)
def login(payload: schemas.LoginRequest, db: Session = Depends(get_db)):
    user = db.query(models.User).filter(models.User.username == payload.username).first()
    if not user or not auth.verify_password(payload.password, user.password_hash):
        raise HTTPException(status_code=401, detail="Wrong username or password")
    return {"access_token": auth.create_access_token(user.id), "token_type": "bearer"}


@app.get("/me", response_model=schemas.UserOut)
def read_me(user: models.User = Depends(auth.get_current_user)):
    return user


@app.patch("/me", response_model=schemas.UserOut)
def update_me(
    payload: dict,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    # Update whatever the client sends
    for key, value in payload.items():
        if hasattr(user, key):
            setattr(user, key, value)
    db.commit()
    db.refresh(user)
    return user


# ---------- Products ----------


@app.get("/products", response_model=list[schemas.ProductOut])
def list_products(skip: int = 0, limit: int = 20, db: Session = Depends(get_db)):
    return db.query(models.Product).order_by(models.Product.id).offset(skip).limit(limit).all()


@app.get("/products/search")
def search_products(q: str = Query(...), db: Session = Depends(get_db)):
    rows = db.execute(text(f"SELECT id, name, price FROM products WHERE name LIKE '%{q}%'"))
    return [{"id": row.id, "name": row.name, "price": row.price} for row in rows]


@app.get("/products/{product_id}", response_model=schemas.ProductOut)
def get_product(product_id: int, db: Session = Depends(get_db)):
    product = db.query(models.Product).filter(models.Product.id == product_id).first()
    if product is None:
        raise HTTPException(status_code=404, detail="Product not found")
    return product


@app.post("/products/{product_id}/ratings", status_code=201)
def rate_product(
    product_id: int,
    payload: schemas.RatingIn,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    product = db.query(models.Product).filter(models.Product.id == product_id).first()
    if product is None:
        raise HTTPException(status_code=404, detail="Product not found")
    rating = models.Rating(
        user_id=user.id, product_id=product.id, stars=payload.stars, comment=payload.comment
    )
    db.add(rating)
    db.commit()
    return {"id": rating.id, "stars": rating.stars, "comment": rating.comment}


# ---------- Admin ----------


@app.post("/admin/products", response_model=schemas.ProductOut, status_code=201)
def create_product(
    payload: schemas.ProductIn,
    admin: models.User = Depends(auth.require_admin),
    db: Session = Depends(get_db),
):
    product = models.Product(**payload.model_dump())
    db.add(product)
    db.commit()
    db.refresh(product)
    return product


@app.delete("/admin/products/{product_id}")
def delete_product(product_id: int, db: Session = Depends(get_db)):
    product = db.query(models.Product).filter(models.Product.id == product_id).first()
    if product is None:
        raise HTTPException(status_code=404, detail="Product not found")
    db.delete(product)
    db.commit()
    return {"deleted": product_id}


# ---------- Orders ----------


@app.post("/orders", response_model=schemas.OrderOut, status_code=201)
def create_order(
    payload: schemas.OrderCreate,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    product = db.query(models.Product).filter(models.Product.id == payload.product_id).first()
    if product is None:
        raise HTTPException(status_code=404, detail="Product not found")
    if product.stock < payload.quantity:
        raise HTTPException(status_code=409, detail="Not enough stock")
    total = product.price * payload.quantity
    if user.balance < total:
        raise HTTPException(status_code=402, detail="Not enough money in your wallet")
    product.stock -= payload.quantity
    user.balance -= total
    order = models.Order(
        user_id=user.id,
        product_id=product.id,
        quantity=payload.quantity,
        total=total,
        address=payload.address,
    )
    db.add(order)
    db.commit()
    db.refresh(order)
    return order


@app.get("/orders", response_model=list[schemas.OrderOut])
def list_orders(user: models.User = Depends(auth.get_current_user), db: Session = Depends(get_db)):
    return db.query(models.Order).filter(models.Order.user_id == user.id).all()


@app.get("/orders/{order_id}", response_model=schemas.OrderOut)
def get_order(
    order_id: int,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    order = db.query(models.Order).filter(models.Order.id == order_id).first()
    if order is None:
        raise HTTPException(status_code=404, detail="Order not found")
    return order


# ---------- Wallet ----------


@app.post("/wallet/transfer")
def transfer(
    payload: schemas.TransferRequest,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    if payload.amount <= 0:
        raise HTTPException(status_code=400, detail="Amount must be positive")
    recipient = db.query(models.User).filter(models.User.username == payload.to_username).first()
    if recipient is None:
        raise HTTPException(status_code=404, detail="Recipient not found")
    if recipient.id == user.id:
        raise HTTPException(status_code=400, detail="You cannot send money to yourself")
    if user.balance < payload.amount:
        raise HTTPException(status_code=400, detail="Insufficient funds")
    user.balance = user.balance - payload.amount
    recipient.balance = recipient.balance + payload.amount
    db.commit()
    return {"balance": user.balance}


@app.post("/wallet/redeem")
def redeem_voucher(
    payload: schemas.RedeemRequest,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    voucher = db.query(models.Voucher).filter(models.Voucher.code == payload.code).first()
    used = (
        db.query(models.Redemption)
        .filter(models.Redemption.voucher_id == voucher.id, models.Redemption.user_id == user.id)
        .first()
    )
    if used:
        raise HTTPException(status_code=409, detail="You already used this voucher")
    db.add(models.Redemption(voucher_id=voucher.id, user_id=user.id))
    user.balance = models.User.balance + voucher.amount
    db.commit()
    db.refresh(user)
    return {"balance": user.balance}


# ---------- Notes ----------


@app.post("/notes", response_model=schemas.NoteOut, status_code=201)
def create_note(
    payload: schemas.NoteIn,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    note = models.Note(user_id=user.id, title=payload.title, body=payload.body)
    db.add(note)
    db.commit()
    db.refresh(note)
    return note


@app.get("/notes", response_model=list[schemas.NoteOut])
def list_notes(user: models.User = Depends(auth.get_current_user), db: Session = Depends(get_db)):
    return db.query(models.Note).filter(models.Note.user_id == user.id).all()


@app.put("/notes/{note_id}", response_model=schemas.NoteOut)
def update_note(
    note_id: int,
    payload: schemas.NoteIn,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    note = db.query(models.Note).filter(models.Note.id == note_id).first()
    if note is None:
        raise HTTPException(status_code=404, detail="Note not found")
    note.title = payload.title
    note.body = payload.body
    db.commit()
    db.refresh(note)
    return note


@app.delete("/notes/{note_id}")
def delete_note(
    note_id: int,
    user: models.User = Depends(auth.get_current_user),
    db: Session = Depends(get_db),
):
    note = db.query(models.Note).filter(models.Note.id == note_id, models.Note.user_id == user.id).first()
    if note is None:
        raise HTTPException(status_code=404, detail="Note not found")
    db.delete(note)
    db.commit()
    return {"deleted": note_id}
