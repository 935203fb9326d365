"""Owns a small Django project, and the apps of its kind that are put into it: rooms that are booked, with and without its REST framework."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDS = ("django",)
REST = ("django", "djangorestframework")
_PROJECT = {
    "manage.py": """
        import os
        import sys


        def main():
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "office.settings")
            from django.core.management import execute_from_command_line
            execute_from_command_line(sys.argv)


        if __name__ == "__main__":
            main()
        """,
    "office/__init__.py": "",
    "office/settings.py": """
        from pathlib import Path

        BASE_DIR = Path(__file__).resolve().parent.parent
        SECRET_KEY = "django-insecure-9v3k_office_1b8d7f6s5q4w3e2r1t0y"
        DEBUG = True
        ALLOWED_HOSTS = ["*"]
        INSTALLED_APPS = [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "rooms",
        ]
        MIDDLEWARE = [
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ]
        ROOT_URLCONF = "office.urls"
        TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "APP_DIRS": True, "OPTIONS": {}}]
        WSGI_APPLICATION = "office.wsgi.application"
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        """,
    "office/wsgi.py": """
        import os

        from django.core.wsgi import get_wsgi_application

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "office.settings")

        application = get_wsgi_application()
        """,
    "office/urls.py": """
        from django.urls import include, path

        urlpatterns = [
            path("", include("rooms.urls")),
        ]
        """,
    "rooms/__init__.py": "",
    "rooms/migrations/__init__.py": "",
}


def project(app: Mapping[str, str], *, rest: bool = False) -> dict[str, str]:
    """The files of the project with an app's own in `rooms/`."""
    files = {**_PROJECT, **{f"rooms/{name}": text for name, text in app.items()}}
    if rest:
        files["office/settings.py"] = files["office/settings.py"].replace('"rooms",', '"rest_framework",\n            "rooms",')
    return {name: dedent(text).lstrip("\n") for name, text in files.items()}


_BOOKING = """
        from django.db import models


        class Booking(models.Model):
            room = models.CharField(max_length=40)
            day = models.DateField()
            guest = models.CharField(max_length=80)

            class Meta:
                ordering = ["day"]

            def __str__(self):
                return f"{self.room} on {self.day}"
        """
_BOOKING_TABLE = """
        from django.db import migrations, models


        class Migration(migrations.Migration):

            initial = True

            dependencies = []

            operations = [
                migrations.CreateModel(
                    name="Booking",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("room", models.CharField(max_length=40)),
                        ("day", models.DateField()),
                        ("guest", models.CharField(max_length=80)),
                    ],
                    options={"ordering": ["day"]},
                ),
            ]
        """
_BOOK = """
        import json

        from django.http import JsonResponse
        from django.views.decorators.csrf import csrf_exempt
        from django.views.decorators.http import require_POST

        from .models import Booking


        def bookings(request):
            return JsonResponse({"bookings": list(Booking.objects.values("room", "day"))})


        @csrf_exempt
        @require_POST
        def book(request):
            data = json.loads(request.body)
            if Booking.objects.filter(room=data["room"], day=data["day"]).exists():
                return JsonResponse({"error": "The room is taken"}, status=409)
            booking = Booking.objects.create(room=data["room"], day=data["day"], guest=data["guest"])
            return JsonResponse({"id": booking.id}, status=201)
        """
_BOOK_URLS = """
        from django.urls import path

        from . import views

        urlpatterns = [
            path("bookings/", views.bookings),
            path("bookings/new/", views.book),
        ]
        """
BOOKINGS = project({"models.py": _BOOKING, "migrations/0001_initial.py": _BOOKING_TABLE, "views.py": _BOOK, "urls.py": _BOOK_URLS})
"""A room is booked where a query finds it free: two at once book it twice."""

BOOKINGS_KEPT = project({
    "models.py": _BOOKING.replace('ordering = ["day"]', 'ordering = ["day"]\n                constraints = [models.UniqueConstraint(fields=["room", "day"], name="one_booking_a_day")]'),
    "migrations/0001_initial.py": _BOOKING_TABLE,
    "migrations/0002_booking_one_booking_a_day.py": """
        from django.db import migrations, models


        class Migration(migrations.Migration):

            dependencies = [("rooms", "0001_initial")]

            operations = [
                migrations.AddConstraint(model_name="booking", constraint=models.UniqueConstraint(fields=("room", "day"), name="one_booking_a_day")),
            ]
        """,
    "views.py": _BOOK.replace("from django.http", "from django.db import IntegrityError, transaction\n        from django.http").replace(
        '            booking = Booking.objects.create(room=data["room"], day=data["day"], guest=data["guest"])\n',
        """            try:
                with transaction.atomic():
                    booking = Booking.objects.create(room=data["room"], day=data["day"], guest=data["guest"])
            except IntegrityError:
                return JsonResponse({"error": "The room is taken"}, status=409)
""",
    ),
    "urls.py": _BOOK_URLS,
})
"""The same over a unique key, whose violation is answered."""

_RESERVATION = """
        from django.db import models


        class Room(models.Model):
            name = models.CharField(max_length=40, unique=True)


        class Reservation(models.Model):
            room = models.ForeignKey(Room, on_delete=models.CASCADE)
            day = models.DateField()
            guest = models.CharField(max_length=80)
        """
_RESERVATION_TABLES = """
        from django.db import migrations, models


        class Migration(migrations.Migration):

            initial = True

            dependencies = []

            operations = [
                migrations.CreateModel(
                    name="Room",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("name", models.CharField(max_length=40, unique=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="Reservation",
                    fields=[
                        ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                        ("day", models.DateField()),
                        ("guest", models.CharField(max_length=80)),
                        ("room", models.ForeignKey(on_delete=models.deletion.CASCADE, to="rooms.room")),
                    ],
                ),
            ]
        """
_RESERVE = """
        from rest_framework import generics, serializers, status
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from .models import Reservation, Room


        class RoomSerializer(serializers.ModelSerializer):
            class Meta:
                model = Room
                fields = ["id", "name"]


        class ReservationSerializer(serializers.ModelSerializer):
            class Meta:
                model = Reservation
                fields = ["id", "room", "day", "guest"]


        class Rooms(generics.ListCreateAPIView):
            queryset = Room.objects.order_by("id")
            serializer_class = RoomSerializer


        class Reserve(APIView):
            def post(self, request):
                serializer = ReservationSerializer(data=request.data)
                serializer.is_valid(raise_exception=True)
                wanted = serializer.validated_data
                if Reservation.objects.filter(room=wanted["room"], day=wanted["day"]).exists():
                    return Response({"detail": "The room is taken"}, status=status.HTTP_409_CONFLICT)
                serializer.save()
                return Response(serializer.data, status=status.HTTP_201_CREATED)
        """
RESERVATIONS = project({
    "models.py": _RESERVATION,
    "migrations/0001_initial.py": _RESERVATION_TABLES,
    "views.py": _RESERVE,
    "urls.py": """
        from django.urls import path

        from .views import Reserve, Rooms

        urlpatterns = [
            path("api/rooms/", Rooms.as_view()),
            path("api/reservations/", Reserve.as_view()),
        ]
        """,
}, rest=True)
"""The same by Django REST framework, with a room of its own table."""

_PROBED = {
    "office/health.py": """
        from django.db import connection
        from django.http import HttpResponse


        class Probe:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                if request.path == "/health/":
                    try:
                        connection.cursor().execute("SELECT 1")
                    except Exception:
                        return HttpResponse("down", status=503)
                    return HttpResponse("ok")
                return self.get_response(request)
        """,
    "office/logs.py": """
        import contextvars
        import json
        import logging
        import uuid

        request_id = contextvars.ContextVar("request_id", default="-")


        class Lines(logging.Formatter):
            def format(self, record):
                line = {"level": record.levelname, "logger": record.name, "message": record.getMessage(), "request_id": request_id.get()}
                if record.exc_info:
                    line["exception"] = self.formatException(record.exc_info)
                return json.dumps(line)


        class Named:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                request_id.set(request.headers.get("X-Request-ID") or uuid.uuid4().hex)
                response = self.get_response(request)
                response["X-Request-ID"] = request_id.get()
                return response
        """,
}


def _settled(files: Mapping[str, str], middleware: str, more: str = "") -> dict[str, str]:
    """A project with one more middleware, and more settings."""
    settings = files["office/settings.py"].replace("MIDDLEWARE = [\n", f'MIDDLEWARE = [\n    "{middleware}",\n').replace("DEBUG = True", "DEBUG = False") + dedent(more)
    return {**files, **{name: dedent(text).lstrip("\n") for name, text in _PROBED.items()}, "office/settings.py": settings}


PROBED = _settled(BOOKINGS, "office.health.Probe")
"""A middleware in front answers whether the database does."""
LOGGED = _settled(BOOKINGS, "office.logs.Named", """
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "office.logs.Lines"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": "INFO"},
    }
    """)
"""A formatter of its own writes what Django logs of an error, with the request's id."""
UNHEARD = {**BOOKINGS, "office/settings.py": BOOKINGS["office/settings.py"].replace("DEBUG = True", "DEBUG = False")}
"""In production Django mails errors to administrators, and nobody is named as one."""
