"""Owns apps of a small Django project in which a stock is taken from and filled."""

from __future__ import annotations

from toughen.samples.desk import project

_ITEM = """
        from django.db import models


        class Item(models.Model):
            name = models.CharField(max_length=60, unique=True)
            stock = models.IntegerField(default=0)
            views = models.IntegerField(default=0)
        """
_ITEM_TABLE = """
        from django.db import migrations, models


        class Migration(migrations.Migration):

            initial = True

            dependencies = []

            operations = [
                migrations.CreateModel(
                    name="Item",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=60, unique=True)),
                        ("stock", models.IntegerField(default=0)),
                        ("views", models.IntegerField(default=0)),
                    ],
                ),
            ]
        """
_TAKE = """
        import json

        from django.db import transaction
        from django.db.models import F
        from django.http import JsonResponse
        from django.shortcuts import get_object_or_404
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.http import require_POST

        from .models import Item


        @csrf_exempt
        def items(request):
            if request.method == "POST":
                data = json.loads(request.body)
                item, made = Item.objects.get_or_create(name=data["name"], defaults={"stock": data["stock"]})
                return JsonResponse({"id": item.id, "stock": item.stock}, status=201 if made else 200)
            return JsonResponse({"items": list(Item.objects.values("id", "name", "stock")[:50])})


        @csrf_exempt
        @require_POST
        def take(request, pk):
            item = get_object_or_404(Item, pk=pk)
            if item.stock < 1:
                return JsonResponse({"error": "None is left"}, status=409)
            item.stock -= 1
            item.save()
            return JsonResponse({"left": item.stock})


        @csrf_exempt
        @require_POST
        def fill(request, pk):
            amount = json.loads(request.body)["amount"]
            item = Item.objects.get(pk=pk)
            item.stock = item.stock + amount
            item.save()
            return JsonResponse({"stock": item.stock})
        """
_ITEM_URLS = """
        from django.urls import path

        from . import views

        urlpatterns = [
            path("items/", views.items),
            path("items/<int:pk>/take/", views.take),
            path("items/<int:pk>/fill/", views.fill),
        ]
        """
ITEMS = project({"models.py": _ITEM, "migrations/0001_initial.py": _ITEM_TABLE, "views.py": _TAKE, "urls.py": _ITEM_URLS})
"""A stock is taken from and filled by what was read."""

_READ = """            item = get_object_or_404(Item, pk=pk)
            if item.stock < 1:
                return JsonResponse({"error": "None is left"}, status=409)
            item.stock -= 1
            item.save()
            return JsonResponse({"left": item.stock})
"""
_FILLED = """            item = Item.objects.get(pk=pk)
            item.stock = item.stock + amount
            item.save()
"""
_ADDED = """            if not Item.objects.filter(pk=pk).update(stock=F("stock") + amount):
                return JsonResponse({"error": "No such item"}, status=404)
            item = Item.objects.get(pk=pk)
"""
ITEMS_COUNTED = {**ITEMS, **project({"views.py": _TAKE.replace(_FILLED, _ADDED).replace(_READ, """            item = get_object_or_404(Item, pk=pk)
            if not Item.objects.filter(pk=pk, stock__gte=1).update(stock=F("stock") - 1):
                return JsonResponse({"error": "None is left"}, status=409)
            return JsonResponse({"name": item.name})
""")})}
"""The condition stands in the UPDATE, and the rows that it hit are counted."""
ITEMS_LOCKED = {**ITEMS, **project({"views.py": _TAKE.replace(_FILLED, _ADDED).replace(_READ, """            with transaction.atomic():
                item = get_object_or_404(Item.objects.select_for_update(), pk=pk)
                if item.stock < 1:
                    return JsonResponse({"error": "None is left"}, status=409)
                item.stock -= 1
                item.save(update_fields=["stock"])
            return JsonResponse({"left": item.stock})
""")})}
"""The row is locked before it is read."""
