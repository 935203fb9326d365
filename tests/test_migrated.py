"""Claims about the migrations that bring unique keys to Django's models: what `makemigrations` would write, or a reason."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from toughen import migrated
from toughen.codemod.module import Module, UnmendableError
from toughen.samples import desk
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toughen.model.blueprint import Blueprint

ABSTRACT = """
from django.db import models


class Dated(models.Model):
    made = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering = ["made"]


class Booking(Dated):
    room = models.CharField(max_length=40)
    day = models.DateField()
"""


def surveyed(root: Path, files: Mapping[str, str]) -> tuple[Blueprint, Mapping[str, str]]:
    """A project's blueprint and its sources."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sources = read(root)
    return survey(sources), sources.texts


@pytest.mark.parametrize(("files", "table", "keys"), [(desk.BOOKINGS, "rooms_booking", ("day", "room")), (desk.RESERVATIONS, "rooms_reservation", ("day", "room_id"))])
def test_django_has_nothing_to_add(tmp_path: Path, files: Mapping[str, str], table: str, keys: tuple[str, ...]) -> None:
    """With the constraint and its migration, `makemigrations` sees no change; the fields stand in the model's own order."""
    blueprint, sources = surveyed(tmp_path, files)
    found = migrated.model_of(blueprint, sources, table)
    assert found is not None
    done = migrated.declared(found, sources, [keys])
    assert isinstance(done, tuple)
    text, fields, migration = done
    assert migration is not None
    assert migration.file == f"rooms/migrations/0002_{table.removeprefix('rooms_')}_unique_{table}_room_day.py"
    assert fields == [("room", "day")]
    (tmp_path / "rooms/models.py").write_text(text)
    (tmp_path / migration.file).write_text(migration.after)
    checked = subprocess.run([sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout.strip()) == (0, "No changes detected"), checked.stdout + checked.stderr


def test_a_model_below_another_keeps_its_meta(tmp_path: Path) -> None:
    """The Meta of an abstract model is inherited; a column that the class does not declare is left alone."""
    blueprint, sources = surveyed(tmp_path, {**desk.BOOKINGS, "rooms/models.py": ABSTRACT})
    found = migrated.model_of(blueprint, sources, "rooms_booking")
    assert found is not None
    done = migrated.declared(found, sources, [("room", "day")])
    assert isinstance(done, tuple)
    assert "    class Meta(Dated.Meta):\n        constraints = [" in done[0]
    with pytest.raises(UnmendableError, match="no field of the column made"):
        migrated.declared(found, sources, [("made", "day")])


def test_where_no_one_migration_is_the_last(tmp_path: Path) -> None:
    """Two leaves are a question for whoever made them; an app without migrations gets none."""
    first = desk.BOOKINGS["rooms/migrations/0001_initial.py"]
    blueprint, sources = surveyed(tmp_path / "two", {**desk.BOOKINGS, "rooms/migrations/0001_other.py": first})
    found = migrated.model_of(blueprint, sources, "rooms_booking")
    assert found is not None
    with pytest.raises(UnmendableError, match="have 2 leaves"):
        migrated.declared(found, sources, [("room", "day")])
    blueprint, sources = surveyed(tmp_path / "none", {name: text for name, text in desk.BOOKINGS.items() if "migrations" not in name})
    found = migrated.model_of(blueprint, sources, "rooms_booking")
    assert found is not None
    done = migrated.declared(found, sources, [("room", "day")])
    assert isinstance(done, tuple)
    assert done[2] is None


def test_values_that_stand_in_the_source() -> None:
    """Of rows that are looked for as `booked`, others may be many."""
    module = Module("views.py", "def book(request):\n    if Booking.objects.filter(room=request.POST['room'], status='booked').exists():\n        return 1\n")
    assert migrated.fixed(module, "book", ("room", "status")) == "status='booked'"
    assert migrated.fixed(module, "book", ("room",)) == ""
