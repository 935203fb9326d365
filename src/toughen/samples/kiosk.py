"""Owns a Django prototype as an assistant would write it: pages with forms and a log-in by session, and an API by Django REST framework."""

from __future__ import annotations

FILES = {
    "manage.py": """
        import os
        import sys


        def main():
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kiosk.settings")
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)


        if __name__ == "__main__":
            main()
        """,
    "kiosk/__init__.py": "",
    "kiosk/settings.py": """
        from pathlib import Path

        BASE_DIR = Path(__file__).resolve().parent.parent
        SECRET_KEY = "django-insecure-0m3k9v_kiosk_0a8d7f6s5q4w3e2r1t0y"
        DEBUG = False
        ALLOWED_HOSTS = ["kiosk.example.com"]
        INSTALLED_APPS = [
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "rest_framework",
            "rest_framework.authtoken",
            "store",
        ]
        MIDDLEWARE = [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        ROOT_URLCONF = "kiosk.urls"
        TEMPLATES = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [BASE_DIR / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ]
        WSGI_APPLICATION = "kiosk.wsgi.application"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        SECURE_SSL_REDIRECT = True
        CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://cache:6379/0"}}
        LOGIN_URL = "/accounts/login/"
        LOGIN_REDIRECT_URL = "/"
        REST_FRAMEWORK = {
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication", "rest_framework.authentication.SessionAuthentication"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        }
        """,
    "kiosk/wsgi.py": """
        import os

        from django.core.wsgi import get_wsgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kiosk.settings")

        application = get_wsgi_application()
        """,
    "kiosk/urls.py": """
        from django.contrib import admin
        from django.contrib.auth import views as auth
        from django.urls import include, path, re_path
        from rest_framework.authtoken.views import obtain_auth_token
        from rest_framework.routers import DefaultRouter

        from store import views
        from store.api import NoteViewSet, ProductViewSet

        router = DefaultRouter()
        router.register("products", ProductViewSet)
        router.register("notes", NoteViewSet, basename="note")

        urlpatterns = [
            path("admin/", admin.site.urls),
            path("accounts/login/", auth.LoginView.as_view(), name="login"),
            path("accounts/register/", views.register, name="register"),
            path("", views.shelf, name="shelf"),
            path("shop/", include("store.urls")),
            path("api/token/", obtain_auth_token),
            path("api/", include(router.urls)),
            re_path(r"^archive/(?P<year>[0-9]{4})/$", views.archive),
        ]
        """,
    "store/__init__.py": "",
    "store/models.py": """
        from django.contrib.auth.models import User
        from django.db import models


        class Product(models.Model):
            KINDS = [("food", "Food"), ("paper", "Paper")]
            name = models.CharField(max_length=60, unique=True)
            kind = models.CharField(max_length=8, choices=KINDS, default="food")
            price = models.PositiveIntegerField()
            stock = models.PositiveIntegerField(default=0)


        class Purchase(models.Model):
            buyer = models.ForeignKey(User, on_delete=models.CASCADE)
            product = models.ForeignKey(Product, on_delete=models.CASCADE)
            made = models.DateTimeField(auto_now_add=True)


        class Note(models.Model):
            owner = models.ForeignKey(User, on_delete=models.CASCADE)
            text = models.CharField(max_length=200)

            class Meta:
                unique_together = [("owner", "text")]
        """,
    "store/urls.py": """
        from django.urls import path

        from . import views

        urlpatterns = [
            path("products/<int:pk>/buy/", views.buy, name="buy"),
            path("products/<int:pk>/take/", views.take, name="take"),
            path("purchases/", views.PurchaseList.as_view(), name="purchases"),
            path("report/", views.report, name="report"),
        ]
        """,
    "store/views.py": """
        import json

        from django.contrib.auth import login
        from django.contrib.auth.decorators import login_required, user_passes_test
        from django.contrib.auth.forms import UserCreationForm
        from django.contrib.auth.mixins import LoginRequiredMixin
        from django.db import transaction
        from django.db.models import F
        from django.http import JsonResponse
        from django.shortcuts import get_object_or_404, redirect, render
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.http import require_POST
        from django.views.generic import ListView

        from .models import Product, Purchase


        def register(request):
            if request.method == "POST":
                form = UserCreationForm(request.POST)
                if form.is_valid():
                    login(request, form.save())
                    return redirect("shelf")
            else:
                form = UserCreationForm()
            return render(request, "register.html", {"form": form})


        def shelf(request):
            return render(request, "shelf.html", {"products": Product.objects.order_by("name")[:20]})


        def archive(request, year):
            return JsonResponse({"year": year, "sold": Purchase.objects.filter(made__year=year).count()})


        @login_required
        @require_POST
        def buy(request, pk):
            product = get_object_or_404(Product, pk=pk)
            if product.stock < 1:
                return JsonResponse({"error": "Sold out"}, status=409)
            product.stock -= 1
            product.save()
            Purchase.objects.create(buyer=request.user, product=product)
            return redirect("purchases")


        @csrf_exempt
        @login_required
        @require_POST
        def take(request, pk):
            amount = int(json.loads(request.body)["amount"])
            if amount < 1:
                return JsonResponse({"error": "Nothing to take"}, status=400)
            with transaction.atomic():
                if not Product.objects.filter(pk=pk, stock__gte=amount).update(stock=F("stock") - amount):
                    return JsonResponse({"error": "Not enough"}, status=409)
                Purchase.objects.create(buyer=request.user, product_id=pk)
            return JsonResponse({"taken": amount})


        class PurchaseList(LoginRequiredMixin, ListView):
            template_name = "purchases.html"

            def get_queryset(self):
                return Purchase.objects.filter(buyer=self.request.user)[:50]


        def is_staff(user):
            return user.is_staff


        @user_passes_test(is_staff)
        def report(request):
            return JsonResponse({"sold": Purchase.objects.count()})
        """,
    "store/api.py": """
        from rest_framework import permissions, serializers, viewsets
        from rest_framework.decorators import action
        from rest_framework.response import Response

        from .models import Note, Product


        class ProductSerializer(serializers.ModelSerializer):
            class Meta:
                model = Product
                fields = ["id", "name", "kind", "price", "stock"]


        class ProductViewSet(viewsets.ModelViewSet):
            queryset = Product.objects.order_by("id")[:50]
            serializer_class = ProductSerializer
            permission_classes = [permissions.IsAuthenticatedOrReadOnly]
            http_method_names = ["get", "post", "head", "options"]

            def get_queryset(self):
                return Product.objects.order_by("id")


        class NoteSerializer(serializers.ModelSerializer):
            class Meta:
                model = Note
                fields = ["id", "text"]


        class NoteViewSet(viewsets.ModelViewSet):
            serializer_class = NoteSerializer

            def get_queryset(self):
                if self.action == "list":
                    return Note.objects.filter(owner=self.request.user)[:50]
                return Note.objects.all()

            def perform_create(self, serializer):
                serializer.save(owner=self.request.user)

            @action(detail=False, methods=["get"])
            def count(self, request):
                return Response({"notes": Note.objects.filter(owner=request.user).count()})
        """,
    "templates/registration/login.html": """
        <form method="post">{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>
        """,
    "templates/register.html": """
        <form method="post">{% csrf_token %}{{ form.as_p }}<button>Sign up</button></form>
        """,
    "templates/shelf.html": """
        <ul>{% for each in products %}<li>{{ each.name }}: {{ each.stock }}
        <form method="post" action="{% url 'buy' each.pk %}">{% csrf_token %}<button>Buy</button></form></li>{% endfor %}</ul>
        """,
    "templates/purchases.html": """
        <ul>{% for each in object_list %}<li>{{ each.product.name }}</li>{% endfor %}</ul>
        """,
}
"""Its files. Of two who buy the last one at once both get it; a note is anybody's who knows its number; `take` is as it should be."""
