"""Owns apps of a small Django project in which something is ordered: with a key that nobody looks for, and in silence where it fails."""

from __future__ import annotations

from toughen.samples.desk import project

_ORDER = """
        from django.db import models


        class Order(models.Model):
            item = models.CharField(max_length=60)
            amount = models.PositiveIntegerField(default=1)
            reference = models.CharField(max_length=80, blank=True)
        """
_ORDER_TABLE = """
        from django.db import migrations, models


        class Migration(migrations.Migration):

            initial = True

            dependencies = []

            operations = [
                migrations.CreateModel(
                    name="Order",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("item", models.CharField(max_length=60)),
                        ("amount", models.PositiveIntegerField(default=1)),
                        ("reference", models.CharField(blank=True, max_length=80)),
                    ],
                ),
            ]
        """
_ORDERING = """
        import json

        from django.http import JsonResponse
        from django.views.decorators.csrf import csrf_exempt

        from .models import Order


        @csrf_exempt
        def orders(request):
            if request.method == "POST":
                data = json.loads(request.body)
                reference = request.headers.get("Idempotency-Key", "")
                order = Order.objects.create(item=data["item"], amount=data["amount"], reference=reference)
                return JsonResponse({"id": order.id, "item": order.item}, status=201)
            return JsonResponse({"orders": list(Order.objects.values("id", "item", "amount"))})
        """
_ORDER_URLS = """
        from django.urls import path

        from . import views

        urlpatterns = [
            path("orders/", views.orders),
        ]
        """
ORDERS = project({"models.py": _ORDER, "migrations/0001_initial.py": _ORDER_TABLE, "views.py": _ORDERING, "urls.py": _ORDER_URLS})
"""An order notes the key that it came with, and nobody looks for it."""

_LOOKED_FOR = """                if reference:
                    order, made = Order.objects.get_or_create(idempotency_key=reference, defaults={"item": data["item"], "amount": data["amount"]})
                    return JsonResponse({"id": order.id, "item": order.item}, status=201 if made else 200)
                order = """
ORDERS_KNOWN = project({
    "models.py": _ORDER.replace("reference", "idempotency_key").replace("max_length=80, blank=True", "max_length=80, unique=True, null=True"),
    "migrations/0001_initial.py": _ORDER_TABLE.replace("reference", "idempotency_key").replace("blank=True, max_length=80", "max_length=80, null=True, unique=True"),
    "views.py": _ORDERING.replace('"Idempotency-Key", ""', '"Idempotency-Key"').replace("reference=reference)", "idempotency_key=reference)").replace("                order = ", _LOOKED_FOR, 1),
    "urls.py": _ORDER_URLS,
})
"""The same, which finds or makes it over a unique column."""

CHARGES = project({
    "models.py": _ORDER,
    "migrations/0001_initial.py": _ORDER_TABLE,
    "views.py": """
        from rest_framework import generics, serializers

        from .models import Order


        class OrderSerializer(serializers.ModelSerializer):
            idempotency_key = serializers.CharField(max_length=80, source="reference", write_only=True)

            class Meta:
                model = Order
                fields = ["id", "item", "amount", "idempotency_key"]


        class Orders(generics.ListCreateAPIView):
            queryset = Order.objects.order_by("id")
            serializer_class = OrderSerializer
        """,
    "urls.py": """
        from django.urls import path

        from .views import Orders

        urlpatterns = [
            path("api/orders/", Orders.as_view()),
        ]
        """,
}, rest=True)
"""By Django REST framework, with the key in the body."""

_TRYING = """                try:
                    order = Order.objects.create(item=data["item"], amount=data["amount"])
                except Exception:
                    return JsonResponse({"error": "Could not save"}, status=500)
"""
_SAVING = '                order = Order.objects.create(item=data["item"], amount=data["amount"], reference=reference)\n'
_UNKEYED = _ORDERING.replace('                reference = request.headers.get("Idempotency-Key", "")\n', "")
QUIET = project({"models.py": _ORDER, "migrations/0001_initial.py": _ORDER_TABLE, "views.py": _UNKEYED.replace(_SAVING, _TRYING), "urls.py": _ORDER_URLS})
"""An order that cannot be saved is answered with an error, and nobody hears of it."""

HEARD = project({
    "models.py": _ORDER,
    "migrations/0001_initial.py": _ORDER_TABLE,
    "views.py": _UNKEYED.replace(_SAVING, _TRYING.replace("except Exception:\n", 'except Exception:\n                    logger.exception("An order could not be saved")\n')).replace("import json\n", "import json\n        import logging\n").replace(
        "from .models import Order\n", "from .models import Order\n\n        logger = logging.getLogger(__name__)\n"
    ),
    "urls.py": _ORDER_URLS,
})
"""The same, which is logged."""

QUIET_API = project({
    "models.py": _ORDER,
    "migrations/0001_initial.py": _ORDER_TABLE,
    "views.py": """
        from rest_framework import serializers, status
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from .models import Order


        class OrderSerializer(serializers.ModelSerializer):
            class Meta:
                model = Order
                fields = ["id", "item", "amount"]


        class Orders(APIView):
            def get(self, request):
                return Response(OrderSerializer(Order.objects.order_by("id")[:50], many=True).data)

            def post(self, request):
                serializer = OrderSerializer(data=request.data)
                serializer.is_valid(raise_exception=True)
                try:
                    serializer.save()
                except Exception as e:
                    return Response({"detail": "Could not save"}, status=status.HTTP_500_INTERNAL_SERVER_ERROR)
                return Response(serializer.data, status=status.HTTP_201_CREATED)
        """,
    "urls.py": """
        from django.urls import path

        from .views import Orders

        urlpatterns = [
            path("api/orders/", Orders.as_view()),
        ]
        """,
}, rest=True)
"""The same by Django REST framework."""
