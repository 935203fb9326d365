"""What a library does at its first use is done once, before the fork, and where it fails the prototype still says so itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

MAPPED = """
    import os
    from sqlalchemy import Column, ForeignKey, Integer, create_engine, event
    from sqlalchemy.orm import Mapper, Session, declarative_base, relationship
    Base = declarative_base()
    engine = create_engine("sqlite://")
    tied = []
    @event.listens_for(Mapper, "after_configured")
    def done():
        tied.append(os.getpid())
    class Shelf(Base):
        __tablename__ = "shelves"
        id = Column(Integer, primary_key=True)
        books = relationship("{other}")
    class Book(Base):
        __tablename__ = "books"
        id = Column(Integer, primary_key=True)
        shelf_id = Column(Integer, ForeignKey("shelves.id"))
    def app(environ, start_response):
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            count = session.query(Shelf).count()
        start_response("200 OK", [])
        return [("%d %d %d" % (count, len(tied), tied[0] == os.getpid())).encode()]
    """


def test_mappers_are_tied_before_the_fork(boot: Callable[..., Any]) -> None:
    """The first query of a child finds the mappers configured, once, by another process."""
    host = boot({"main.py": MAPPED.replace("{other}", "Book")})
    assert host.child().serve(("GET", "/"))[0]["body"] == b"0 1 0"
    assert host.child().serve(("GET", "/"), ("GET", "/"))[1]["body"] == b"0 1 0"


@pytest.mark.parametrize("number", [1, 2])
def test_mappers_that_do_not_fit_fail_as_ever(boot: Callable[..., Any], number: int) -> None:
    """A wrong relationship fails at the first query of each process, in the words of a first failure."""
    host = boot({"main.py": MAPPED.replace("{other}", "Pamphlet")})
    for _ in range(number):
        failure = host.child().serve(("GET", "/"))[0]["failure"]
        assert failure["type"].endswith("InvalidRequestError")
        assert failure["message"].startswith("When initializing mapper Mapper[Shelf(shelves)], expression 'Pamphlet' failed to locate a name")


LOOKED = """
    import inspect
    import os
    looked, original = [], inspect.getsourcelines
    def getsourcelines(thing):
        looked.append(os.getpid())
        return original(thing)
    inspect.getsourcelines = getsourcelines
    from fastapi import FastAPI
    app = FastAPI()
    @app.get("/")
    def root():
        return {"here": os.getpid() in looked, "before": len(looked)}
    """


def test_endpoints_are_looked_up_before_the_fork(boot: Callable[..., Any]) -> None:
    """FastAPI, where it looks up the source of an endpoint, has done so before the first request of a child."""
    told = json.loads(boot({"main.py": LOOKED}).child().serve(("GET", "/"))[0]["body"])
    assert told["here"] is False
