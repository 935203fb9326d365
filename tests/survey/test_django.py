"""Proves that a Django project's routes, guards, parameters and tables are read from its source alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.model.blueprint import Place
from toughen.samples.kiosk import FILES
from toughen.survey import django, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.survey import Sources

    Write = Callable[[Mapping[str, str]], Sources]

VIEWS = """
    import json
    from django.http import HttpResponseNotAllowed, JsonResponse
    from django.shortcuts import redirect, render
    from django.utils.decorators import method_decorator
    from django.contrib.auth.decorators import login_required, permission_required
    from django.views import View
    from rest_framework.decorators import api_view, permission_classes
    from rest_framework.permissions import IsAdminUser
    from rest_framework.response import Response


    def shown(request):
        return render(request, "a.html")


    def both(request):
        if request.method == "POST":
            return redirect("shown")
        return render(request, "a.html")


    def only(request):
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        data = json.loads(request.body)
        return JsonResponse({"a": data["first"], "b": data.get("second", 3), "c": request.GET.get("page")})


    def refused(request):
        if request.method == "DELETE":
            return JsonResponse({})
        return JsonResponse({"error": "no"}, status=405)


    @api_view(["GET", "PUT"])
    @permission_classes([IsAdminUser])
    def rest(request, pk):
        return Response({"name": request.data.get("name")})


    @method_decorator(login_required, name="dispatch")
    class Desk(View):
        def get(self, request):
            return render(request, "a.html")

        def post(self, request):
            return JsonResponse({"said": self.request.POST["said"]})


    @permission_required("desk.close")
    def closed(request):
        return render(request, "a.html")
    """
URLS = """
    from django.conf.urls import include
    from django.urls import path, re_path
    from . import views

    inner = [path("only/", views.only), path("refused/", views.refused)]
    urlpatterns = [path("", views.shown), path("both/<slug:name>/", views.both), path("rest/<int:pk>", views.rest)]
    urlpatterns += [path("in/", include(inner)), re_path(r"^desk/(?:old/)?$", views.Desk.as_view()), path("closed/", views.closed)]
    """


@pytest.fixture
def kiosk(project: Write) -> Blueprint:
    """What the source of the kiosk says."""
    return survey(project(FILES))


def route(blueprint: Blueprint, route_id: str) -> Route:
    found = blueprint.route(route_id)
    assert found is not None, [each.id for each in blueprint.routes]
    return found


def test_the_application_and_its_folder(kiosk: Blueprint) -> None:
    """The WSGI application is the entry, imports start beside manage.py, and the settings that it is started with are known."""
    assert kiosk.framework == "django"
    assert kiosk.entry is not None
    assert (kiosk.entry.target, kiosk.entry.import_root) == ("kiosk.wsgi:application", ".")
    assert kiosk.database == "sqlite"
    assert next(each.default for each in kiosk.environment if each.name == django.SETTINGS) == "kiosk.settings"


def test_without_a_server_file_the_one_that_manage_starts(project: Write) -> None:
    """A project that was only ever run by `manage.py runserver` is served by Django's own maker, in a folder below the root too."""
    sources = project({f"web/{name}": text for name, text in FILES.items() if "wsgi" not in name})
    entry = survey(sources).entry
    assert entry is not None
    assert (entry.target, entry.import_root, entry.file) == ("django.core.wsgi:get_wsgi_application()", "web", "web/manage.py")


def test_the_sample_names_the_settings_where_the_code_does_not(project: Write) -> None:
    """`manage.py` takes the settings from the environment: its sample says which; a package that holds none is not taken for them."""
    files = {
        "manage.py": 'import os\nfrom decouple import config\nfrom django.core.management import execute_from_command_line\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", config("DJANGO_SETTINGS_MODULE"))\n',
        "site1/wsgi.py": 'import os\nfrom django.core.wsgi import get_wsgi_application\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")\napplication = get_wsgi_application()\n',
        "site1/__init__.py": "", "site1/settings/__init__.py": "", "site1/urls.py": "urlpatterns = []\n",
        "site1/settings/base.py": 'ROOT_URLCONF = "site1.urls"\nINSTALLED_APPS = []\n',
        "site1/settings/production.py": "from .base import *\nDEBUG = False\n",
        "site1/settings/local.py": "from .base import *\nDEBUG = True\n",
    }  # fmt: skip
    sources = project(files)
    assert django.settings_named(sources, ".") == "site1.settings.local"
    (sources.root / ".env.example").write_text("DJANGO_SETTINGS_MODULE=site1.settings.production\n")
    assert django.settings_named(sources, ".") == "site1.settings.production"


def test_paths_methods_and_guards(kiosk: Blueprint) -> None:
    """Templates in braces, what is included, the routers of the REST framework, and the names of what stands in front."""
    assert {each.id: [guard.name for guard in each.guards] for each in kiosk.routes} == {
        "GET /accounts/login/": [], "POST /accounts/login/": [], "GET /accounts/register/": [], "POST /accounts/register/": [], "GET /": [],
        "POST /shop/products/{pk}/buy/": ["login_required"], "POST /shop/products/{pk}/take/": ["login_required"],
        "GET /shop/purchases/": ["LoginRequiredMixin"], "GET /shop/report/": ["user_passes_test"], "POST /api/token/": [],
        "GET /api/products/": [], "POST /api/products/": ["IsAuthenticatedOrReadOnly"], "GET /api/products/{pk}/": [],
        "GET /api/notes/": ["IsAuthenticated"], "POST /api/notes/": ["IsAuthenticated"], "GET /api/notes/{pk}/": ["IsAuthenticated"], "PUT /api/notes/{pk}/": ["IsAuthenticated"],
        "PATCH /api/notes/{pk}/": ["IsAuthenticated"], "DELETE /api/notes/{pk}/": ["IsAuthenticated"], "GET /api/notes/count/": ["IsAuthenticated"], "GET /archive/{year}/": [],
    }  # fmt: skip
    assert [(each.name, each.type) for each in route(kiosk, "POST /shop/products/{pk}/take/").parameters] == [("pk", "integer"), ("amount", "integer")]
    assert route(kiosk, "GET /archive/{year}/").parameters[0].type == "integer"
    assert route(kiosk, "GET /api/notes/count/").handler.function == "NoteViewSet.count"
    assert route(kiosk, "GET /api/notes/").handler.function == "NoteViewSet"


def test_methods_that_only_the_body_of_a_view_tells(project: Write) -> None:
    """A refusal of all but POST leaves POST, a page that is shown leaves GET, decorators and classes say it themselves."""
    files = {"site1/urls.py": URLS, "site1/views.py": VIEWS, "site1/__init__.py": "", "site1/settings.py": 'ROOT_URLCONF = "site1.urls"\nINSTALLED_APPS = []\n',
             "manage.py": FILES["manage.py"].replace("kiosk.settings", "site1.settings")}  # fmt: skip
    blueprint = survey(project(files))
    assert {(each.id, *(guard.name for guard in each.guards)) for each in blueprint.routes} == {
        ("GET /",), ("GET /both/{name}/",), ("POST /both/{name}/",), ("POST /in/only/",), ("DELETE /in/refused/",), ("GET /rest/{pk}", "IsAdminUser"), ("PUT /rest/{pk}", "IsAdminUser"),
        ("GET /desk/old/", "login_required"), ("POST /desk/old/", "login_required"), ("GET /closed/", "permission_required"),
    }  # fmt: skip
    only = {each.name: (each.place, each.required, each.default) for each in route(blueprint, "POST /in/only/").parameters}
    assert only == {"first": (Place.JSON, True, None), "second": (Place.JSON, False, 3), "page": (Place.QUERY, False, None)}
    assert [(each.name, each.place) for each in route(blueprint, "PUT /rest/{pk}").parameters] == [("pk", Place.PATH), ("name", Place.JSON)]
    assert [(each.name, each.place) for each in route(blueprint, "POST /desk/old/").parameters] == [("said", Place.FORM)]


def test_tables_of_the_models(kiosk: Blueprint) -> None:
    """Names, keys, references, choices and unique constraints as Django makes them; its users where the project has none of its own."""
    product, note, user = (kiosk.table(name) for name in ("store_product", "store_note", "auth_user"))
    assert product is not None
    assert note is not None
    assert user is not None
    columns = {each.name: each for each in product.columns}
    assert columns["name"].unique
    assert columns["kind"].enum == ("food", "paper")
    assert columns["kind"].has_default
    assert columns["id"].primary_key
    assert product.model == "Product"
    owner = note.column("owner_id")
    assert owner is not None
    assert owner.references == ("auth_user", "id")
    assert note.uniques == (("owner_id", "text"),)
    assert user.column("is_staff") is not None


def test_users_of_the_project_s_own(project: Write) -> None:
    """AUTH_USER_MODEL: the columns of Django's user that it keeps, its own ones, and who refers to it."""
    models = """
        from django.conf import settings
        from django.contrib.auth.models import AbstractUser
        from django.db import models


        class Stamped(models.Model):
            made = models.DateTimeField(auto_now_add=True)

            class Meta:
                abstract = True


        class Member(AbstractUser):
            class Role(models.TextChoices):
                STUDENT = "student", "Student"
                TEACHER = "teacher", "Teacher"

            username = None
            email = models.EmailField(unique=True)
            role = models.CharField(max_length=10, choices=Role.choices, default=Role.STUDENT)


        class Essay(Stamped):
            author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

            class Meta:
                db_table = "essays"
                constraints = [models.UniqueConstraint(fields=["author", "made"], name="once")]
        """
    files = {**FILES, "people/__init__.py": "", "people/models.py": models, "kiosk/settings.py": FILES["kiosk/settings.py"].rstrip(" ") + '        AUTH_USER_MODEL = "people.Member"\n'}
    blueprint = survey(project(files))
    member, essays = blueprint.table("people_member"), blueprint.table("essays")
    assert member is not None
    assert essays is not None
    assert member.column("username") is None
    role = member.column("role")
    assert role is not None
    assert role.enum == ("student", "teacher")
    assert [(each.name, each.references) for each in essays.columns] == [("id", None), ("made", None), ("author_id", ("people_member", "id"))]
    assert essays.uniques == (("author_id", "made"),)
    assert blueprint.table("auth_user") is None
    assert set(blueprint.roles) >= {"student", "teacher"}
