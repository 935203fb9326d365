"""Claims about unique keys of Django's models: the Meta is kept, and who comes second is told what the check would have told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module, taken_saved, unique_model
from toughen.codemod.constraints import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = """
from django.contrib.auth.models import User
from django.db import models


class Seat(models.Model):
    owner = models.ForeignKey(User, on_delete=models.CASCADE)
    row = models.CharField(max_length=4, db_column='line')

    def __str__(self):
        return self.row


class Ticket(models.Model):
    code = models.CharField(max_length=9)
    day = models.DateField()
    class Meta:
        ordering = ['day']


class Badge(models.Model):
    code = models.CharField(max_length=9)
    day = models.DateField()
    class Meta:
        constraints = [
            models.CheckConstraint(check=models.Q(code__gt=''), name='told'),
        ]


class Pin(models.Model):
    code = models.CharField(max_length=9)
    def __str__(self):
        return self.code
"""

VIEWS = """
from django.contrib import messages
from django.db import transaction
from django.http import JsonResponse
from django.shortcuts import redirect, render
from .forms import BookingForm
from .models import Booking, Log

def book(request):
    taken = Booking.objects.filter(day=request.POST['day']).first()
    if taken:
        messages.error(request, 'Taken')
        return redirect('days')
    Booking.objects.create(day=request.POST['day'])  # plain
    return redirect('days')

def choose(request):
    if Booking.objects.filter(day=request.POST['day']).exists():
        messages.error(request, 'Taken')
    else:
        booking = Booking(day=request.POST['day'])
        booking.save()  # chosen
        messages.success(request, 'Yours')
    return redirect('days')

def fill(request):
    form = BookingForm(request.POST or None)
    if form.is_valid():
        form.save()  # filled
        return redirect('days')
    return render(request, 'days.html', {'form': form})

def noted(request):
    Log.objects.create(text='begun')
    Booking.objects.create(day=request.POST['day'])  # noted
    return JsonResponse({})

@transaction.atomic
def whole(request):
    Log.objects.create(text='begun')
    Booking.objects.create(day=request.POST['day'])  # whole
    return JsonResponse({})

async def later(request):
    await Booking.objects.acreate(day=1)
    Booking.objects.create(day=1)  # later
"""
REST = """
from rest_framework import generics, serializers
from rest_framework.views import APIView
from rest_framework.response import Response
from .models import Booking

class Bookings(generics.CreateAPIView):
    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)  # made

class Book(APIView):
    def post(self, request):
        Booking.objects.create(day=request.data['day'])  # booked
        return Response({'ok': True})
"""


def _line(piece: str, source: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if piece in line)


def test_fields_by_their_columns() -> None:
    """A foreign key is known by its column, and a column by the name that the field gives it."""
    assert fields_of(Module("models.py", MODELS).class_named("Seat")) == {"owner_id": "owner", "line": "row"}


def test_a_meta_goes_behind_the_fields(changed: Callable[..., Any]) -> None:
    """A model without a Meta gets one in front of its methods, below the one that it inherits."""
    lines = ["+    class Meta:", "+        constraints = [", "+            models.UniqueConstraint(fields=['owner', 'row'], name='one_seat'),", "+        ]"]
    assert changed(MODELS, lambda module: unique_model(module, "Seat", ("owner", "row"), "one_seat")) == ["+", *lines]
    above = changed(MODELS, lambda module: unique_model(module, "Pin", ("code",), "one_pin", "Dated.Meta"))
    assert above == ["+", "+    class Meta(Dated.Meta):", "+        constraints = [", "+            models.UniqueConstraint(fields=['code'], name='one_pin'),", "+        ]", "+"]


def test_a_meta_that_is_there_is_kept(changed: Callable[..., Any]) -> None:
    """Its options stay, and constraints that it has get one more."""
    assert changed(MODELS, lambda module: unique_model(module, "Ticket", ("code", "day"), "one"))[0] == "+        constraints = ["
    assert changed(MODELS, lambda module: unique_model(module, "Badge", ("code",), "one")) == ["+            models.UniqueConstraint(fields=['code'], name='one'),"]


def test_the_checks_refusal_is_copied(changed: Callable[..., Any]) -> None:
    """A page refuses with its message and its redirect, in a transaction that leaves the one around it alive."""
    assert changed(VIEWS, lambda module: taken_saved(module, _line("# plain", VIEWS), "Booking")) == [
        "-from django.db import transaction",
        "+from django.db import transaction, IntegrityError",
        "-    Booking.objects.create(day=request.POST['day'])  # plain",
        "+    try:",
        "+        with transaction.atomic():",
        "+            Booking.objects.create(day=request.POST['day'])  # plain",
        "+    except IntegrityError:",
        "+        messages.error(request, 'Taken')",
        "+        return redirect('days')",
    ]


def test_a_check_that_goes_on_is_gone_on_from(mended: Callable[..., str]) -> None:
    """Where the row is added in the `else`, nothing behind it happens, and no message of success is given."""
    text = mended(VIEWS, lambda module: taken_saved(module, _line("# chosen", VIEWS), "Booking"))
    assert """
        try:
            with transaction.atomic():
                booking.save()  # chosen
                messages.success(request, 'Yours')
        except IntegrityError:
            messages.error(request, 'Taken')
    return redirect('days')
""" in text


def test_a_form_takes_the_error(mended: Callable[..., str]) -> None:
    """Without a check, the form is shown once more and says why."""
    text = mended(VIEWS, lambda module: taken_saved(module, _line("# filled", VIEWS), "Booking"))
    assert "    except IntegrityError:\n            form.add_error(None, 'Already exists')\n    return render(" in text


def test_what_was_written_before_does_not_stay(mended: Callable[..., str], refused: Callable[..., str]) -> None:
    """It is rolled back where one transaction holds both; else nothing is changed."""
    assert "    except IntegrityError:\n        transaction.set_rollback(True)\n        return JsonResponse({'error': 'Already exists'}, status=409)" in mended(VIEWS, lambda module: taken_saved(module, _line("# whole", VIEWS), "Booking"))
    assert "it would stay" in refused(VIEWS, lambda module: taken_saved(module, _line("# noted", VIEWS), "Booking"))
    assert "asynchronous" in refused(VIEWS, lambda module: taken_saved(module, _line("# later", VIEWS), "Booking"))


@pytest.mark.parametrize(("piece", "answer"), [("# made", "raise serializers.ValidationError('Already exists')"), ("# booked", "return Response({'detail': 'Already exists'}, status=409)")])
def test_rest_framework(mended: Callable[..., str], piece: str, answer: str) -> None:
    """A view of Django REST framework answers with its Response; what a viewset only overrides raises what its framework answers."""
    text = mended(REST, lambda module: taken_saved(module, _line(piece, REST), "Booking"))
    assert f"except IntegrityError:\n            {answer}\n" in text
