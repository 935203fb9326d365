"""Tables that no code of the prototype's makes: its author did, with a file of SQL or a script that asks for a password."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toughen.lab import mysql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import pymysql
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    db = pymysql.connect(host="localhost", user="root", password="root", db="library", cursorclass=pymysql.cursors.DictCursor, autocommit=True)


    @app.get("/books")
    def books():
        with db.cursor() as cursor:
            cursor.execute("SELECT id, title FROM books")
            return jsonify(cursor.fetchall())


    @app.post("/books")
    def add():
        data = request.get_json()
        with db.cursor() as cursor:
            cursor.execute("INSERT INTO books (title) VALUES (%s)", (data["title"],))
            return jsonify(id=cursor.lastrowid), 201
    """
DUMP = """
    -- MySQL dump 10.13  Distrib 8.0.36
    CREATE DATABASE IF NOT EXISTS bookshop;
    USE bookshop;
    CREATE TABLE books (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, title varchar(200) NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
    INSERT INTO books (title) VALUES ('Emma; a novel');
    """
SCRIPT = """
    import getpass
    import pymysql

    if __name__ == "__main__":
        link = pymysql.connect(host="localhost", user="root", password=getpass.getpass("root password: "))
        if input("Make the tables? [y/N] ").strip().lower() == "y":
            cursor = link.cursor()
            cursor.execute("CREATE DATABASE IF NOT EXISTS library")
            cursor.execute("USE library")
            cursor.execute("CREATE TABLE books (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(200) NOT NULL)")
    """


@pytest.mark.parametrize(("name", "text"), [("db/schema.sql", DUMP), pytest.param("setup_db.py", SCRIPT, marks=pytest.mark.long)])
def test_tables_are_made_as_the_author_made_them(prototype: Write, name: str, text: str) -> None:
    """On MySQL, whatever the file calls its database; a script that asks is answered. One connection for all lives through it."""
    if lacks := mysql.lacking():
        pytest.skip(lacks)
    project = prototype({"app.py": APP, name: text, "requirements.txt": "flask\npymysql\n"})
    done = project.toughen("check", project.root.name, "--only", "race", "--format", "json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    report = json.loads(done.stdout)
    assert report["coverage"]["reached"] == 2, report["coverage"]
    assert any(f"ran {name}" in each for each in report["notes"]), report["notes"]
    assert project.left_behind() == []
