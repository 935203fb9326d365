import os
import sys

os.environ["DATABASE_URL"] = "sqlite:///./test_tuckshop.db"
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import pytest
from fastapi.testclient import TestClient

from database import Base, engine
from main import app


@pytest.fixture()
def client():
    Base.metadata.drop_all(bind=engine)
    Base.metadata.create_all(bind=engine)
    with TestClient(app) as test_client:
        yield test_client
    Base.metadata.drop_all(bind=engine)


def make_user(client, username):
    client.post(
        "/signup",
        json={"username": username, "email": f"{username}@example.com", "password": "secret123"},
    )
    response = client.post("/login", json={"username": username, "password": "secret123"})
    return {"Authorization": f"Bearer {response.json()['access_token']}"}


def test_root(client):
    assert client.get("/").json()["status"] == "ok"


def test_signup_and_me(client):
    headers = make_user(client, "alice")
    response = client.get("/me", headers=headers)
    assert response.status_code == 200
    assert response.json()["username"] == "alice"


def test_wrong_password(client):
    make_user(client, "alice")
    response = client.post("/login", json={"username": "alice", "password": "nope"})
    assert response.status_code == 401


def test_update_display_name(client):
    headers = make_user(client, "alice")
    response = client.patch("/me", json={"display_name": "Alice A."}, headers=headers)
    assert response.json()["display_name"] == "Alice A."


def test_search(client):
    response = client.get("/products/search", params={"q": "roll"})
    assert [product["name"] for product in response.json()] == ["Cheese roll"]


def test_order(client):
    headers = make_user(client, "alice")
    response = client.post("/orders", json={"product_id": 1, "quantity": 2, "address": "Room 4"}, headers=headers)
    assert response.status_code == 201
    assert response.json()["total"] == 500
    assert client.get("/me", headers=headers).json()["balance"] == 500
    order_id = response.json()["id"]
    assert client.get(f"/orders/{order_id}", headers=headers).json()["address"] == "Room 4"


def test_order_too_expensive(client):
    headers = make_user(client, "alice")
    response = client.post("/orders", json={"product_id": 1, "quantity": 20}, headers=headers)
    assert response.status_code == 402


def test_transfer(client):
    alice = make_user(client, "alice")
    bob = make_user(client, "bob")
    response = client.post("/wallet/transfer", json={"to_username": "bob", "amount": 300}, headers=alice)
    assert response.json()["balance"] == 700
    assert client.get("/me", headers=bob).json()["balance"] == 1300


def test_redeem_voucher_once(client):
    headers = make_user(client, "alice")
    assert client.post("/wallet/redeem", json={"code": "WELCOME5"}, headers=headers).json()["balance"] == 1500
    assert client.post("/wallet/redeem", json={"code": "WELCOME5"}, headers=headers).status_code == 409


def test_notes(client):
    headers = make_user(client, "alice")
    note = client.post("/notes", json={"title": "Lunch", "body": "No onions"}, headers=headers).json()
    assert len(client.get("/notes", headers=headers).json()) == 1
    changed = client.put(f"/notes/{note['id']}", json={"title": "Lunch", "body": "No cheese"}, headers=headers)
    assert changed.json()["body"] == "No cheese"
    assert client.delete(f"/notes/{note['id']}", headers=headers).status_code == 200
