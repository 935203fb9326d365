"""Claims about what is read off Django's models: races that the source shows, and what waits, counts or keeps a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import contention
from toughen.samples import desk, stock
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORM = """
from django import forms
from django.http import JsonResponse
from .models import Item


class Moving(forms.Form):
    def __init__(self, data):
        super().__init__(data)
        self.source = None

    def is_valid(self):
        source = Item.objects.get(pk=self.data["pk"])
        self.source = source
        return source.stock > 0

    def save(self):
        left = self.source.stock - int(self.data["amount"])
        self.source.stock = left
        self.source.save()


def take(request, pk):
    form = Moving(request.POST)
    if form.is_valid():
        form.save()
    return JsonResponse({})
"""
METHOD = """
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST
from .models import Item


@require_POST
def take(request, pk):
    item = get_object_or_404(Item, pk=pk)
    item.sell(1)
    return JsonResponse({})
"""
SELLING = """
from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=60, unique=True)
    stock = models.IntegerField(default=0)
    views = models.IntegerField(default=0)

    def sell(self, amount):
        if self.stock < amount:
            raise ValueError("too few")
        self.stock -= amount
        self.save()
"""
TAKEN = """
from django.http import JsonResponse
from .models import Booking


def book(request):
    if Booking.objects.filter(room=request.POST["room"], day=request.POST["day"]).exists():
        said = "taken"
    else:
        Booking.objects.create(room=request.POST["room"], day=request.POST["day"], guest="")
        said = "yours"
    return JsonResponse({"said": said})


def bookings(request):
    return JsonResponse({})
"""
ONE_URL = """
from django.urls import path
from . import views

urlpatterns = [path("items/<int:pk>/take/", views.take)]
"""


def suspected(root: Path, files: Mapping[str, str]) -> set[tuple[str, int]]:
    """(break, line) of what the source shows."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    sources = read(root)
    blueprint = survey(sources)
    lost = {("lost", each.location.line) for each in contention.lost("race/lost-update", blueprint, sources.texts)}
    return lost | {("raced", each.location.line) for each in contention.raced("race/check-then-act", blueprint, sources.texts)}


def test_numbers_that_are_computed_in_python(tmp_path: Path) -> None:
    """A step behind a check is both; one without is a lost update alone."""
    take, fill = (next(number for number, line in enumerate(stock.ITEMS["rooms/views.py"].splitlines(), 1) if piece in line) for piece in ("item.stock -= 1", "item.stock + amount"))
    assert suspected(tmp_path, stock.ITEMS) == {("lost", take), ("raced", take), ("lost", fill)}


def test_what_waits_or_counts(tmp_path: Path) -> None:
    """A row that is locked before, a condition in the UPDATE, a unique key: nothing is said."""
    assert suspected(tmp_path / "counted", stock.ITEMS_COUNTED) == set()
    assert suspected(tmp_path / "locked", stock.ITEMS_LOCKED) == set()
    assert suspected(tmp_path / "kept", desk.BOOKINGS_KEPT) == set()


def test_the_condition_must_stand_in_the_update(tmp_path: Path) -> None:
    """The database subtracts, and what was checked before may be over."""
    checked = 'if item.stock < 1:\n        return JsonResponse({"error": "None is left"}, status=409)\n    if not Item.objects.filter(pk=pk)'
    views = stock.ITEMS_COUNTED["rooms/views.py"].replace("if not Item.objects.filter(pk=pk, stock__gte=1)", checked)
    assert {kind for kind, _ in suspected(tmp_path, {**stock.ITEMS_COUNTED, "rooms/views.py": views})} == {"raced"}


@pytest.mark.parametrize(("views", "models", "found"), [(FORM, None, {("lost", 19)}), (METHOD, SELLING, {("lost", 13), ("raced", 13)})])
def test_rows_that_others_change(tmp_path: Path, views: str, models: str | None, found: set[tuple[str, int]]) -> None:
    """A form that keeps a row in itself, and a method of the model."""
    files = {**stock.ITEMS, "rooms/views.py": views, "rooms/urls.py": ONE_URL, **({"rooms/models.py": models} if models else {})}
    assert suspected(tmp_path, files) == found


def test_a_row_that_is_added_in_the_else(tmp_path: Path) -> None:
    """Pages say it so: what was found keeps another one from being added."""
    line = next(number for number, line in enumerate(TAKEN.splitlines(), 1) if ".create(" in line)
    assert suspected(tmp_path, {**desk.BOOKINGS, "rooms/views.py": TAKEN}) == {("raced", line)}
