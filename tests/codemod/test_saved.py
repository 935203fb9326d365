"""Claims about the words for Django's models: the database decides, and the refusal is the app's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module, claim_saved, lock_saved, step_saved, twice, whole
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP = """
from django.db import models, transaction
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from shop.models import Product, Purchase

def buy(request, pk, amount):
    product = get_object_or_404(Product, pk=pk)
    if not product or product.stock < amount:
        return JsonResponse({'error': 'Sold out'}, status=409)
    product.stock -= amount
    product.sold = True
    product.save()
    Purchase.objects.create(product=product)
    return JsonResponse({'left': product.stock})

def refill(pk):
    row = Product.objects.filter(pk=pk).first()
    row.stock = row.stock + 5
    row.save(update_fields=['stock'])

@transaction.atomic
def move(source, target, amount):
    one = Product.objects.get(pk=source)
    if one.stock >= amount:
        one.stock -= amount
        one.save()
    else:
        raise ValueError('too few')

class Wallet(models.Model):
    balance = models.IntegerField()

    def pay(self, amount):
        if amount > self.balance:
            raise ValueError('too little')
        self.balance -= amount
        self.save()
"""


def _line(piece: str, source: str = SHOP) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if piece in line)


def test_claim_is_one_update_with_the_checks_refusal(changed: Callable[..., Any]) -> None:
    """The step becomes a conditional UPDATE, a miss is answered as the check answers, and what else was set is saved alone."""
    assert changed(SHOP, lambda m: claim_saved(m, _line("product.stock -= amount"))) == [
        "+from django.db.models import F",
        "-    product.stock -= amount",
        '+    if not Product.objects.filter(pk=product.pk, stock__gte=amount).update(stock=F("stock") - amount):',
        "+        return JsonResponse({'error': 'Sold out'}, status=409)",
        '+    product.refresh_from_db(fields=["stock"])',
        "-    product.save()",
        '+    product.save(update_fields=["sold"])',
    ]


def test_a_check_around_the_step_and_a_method_of_the_model(changed: Callable[..., Any]) -> None:
    """`if enough: ... else: refuse`, and a row that changes itself."""
    assert '+        if not Product.objects.filter(pk=one.pk, stock__gte=amount).update(stock=F("stock") - amount):' in changed(SHOP, lambda m: claim_saved(m, _line("one.stock -= amount")))
    assert changed(SHOP, lambda m: claim_saved(m, _line("self.balance -= amount")))[2:] == [
        "-        self.save()",
        '+        if not type(self).objects.filter(pk=self.pk, balance__gte=amount).update(balance=F("balance") - amount):',
        "+            raise ValueError('too little')",
        '+        self.refresh_from_db(fields=["balance"])',
    ]


def test_a_step_without_a_check(changed: Callable[..., Any]) -> None:
    """The database computes it; the save that wrote nothing else goes."""
    assert changed(SHOP, lambda m: step_saved(m, _line("row.stock = row.stock + 5"))) == [
        "+from django.db.models import F",
        "-    row.stock = row.stock + 5",
        "-    row.save(update_fields=['stock'])",
        '+    Product.objects.filter(pk=row.pk).update(stock=F("stock") + 5)',
    ]


def test_a_lock_begins_a_transaction_where_there_is_none(changed: Callable[..., Any]) -> None:
    """A lock lasts as long as its transaction."""
    assert changed(SHOP, lambda m: lock_saved(m, _line("get_object_or_404(Product"))) == [
        "+@transaction.atomic",
        "-    product = get_object_or_404(Product, pk=pk)",
        "+    product = get_object_or_404(Product.objects.select_for_update(), pk=pk)",
    ]
    assert changed(SHOP, lambda m: lock_saved(m, _line("one = Product"))) == [
        "-    one = Product.objects.get(pk=source)",
        "+    one = Product.objects.select_for_update().get(pk=source)",
    ]


def test_a_function_becomes_one_transaction(changed: Callable[..., Any]) -> None:
    """Once: what is one already is left alone."""
    assert changed(SHOP, lambda m: whole(m, "buy")) == ["+@transaction.atomic"]
    assert isinstance(whole(Module("a.py", SHOP), "move"), Unmended)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    product.sold = True\n", "    product.save()\n", "is not saved once"),
        ("    product.stock -= amount\n", "    Purchase.objects.create(product=product)\n    product.stock -= amount\n", "written between the check and the step"),
        ("get_object_or_404(Product, pk=pk)", "find(pk)", "the model of `product` is unknown"),
        ("product.stock < amount", "product.gone", "no check of product.stock"),
        ("product.stock < amount", "product.stock < product.least", "no check of product.stock"),
        ("    product.save()\n", "    product.save(force_update=True)\n", "what the save writes is not known"),
    ],
)
def test_what_is_not_understood_is_left_alone(old: str, new: str, reason: str) -> None:
    """A refusal with its reason, never a guess."""
    text = SHOP.replace(old, new, 1)
    said = claim_saved(Module("a.py", text), _line("product.stock -= amount", text))
    assert isinstance(said, Unmended)
    assert reason in said.reason


def test_a_second_application_changes_nothing() -> None:
    """What was claimed holds no step any more."""
    line = _line("product.stock -= amount")
    assert not isinstance(twice(lambda m: claim_saved(m, line), Module("a.py", SHOP)), Unmended)
