"""Owns how a view of Django's is read: which methods it serves, by which function, and what it asks of whoever calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from toughen.survey import django
from toughen.survey.facts import dotted
from toughen.survey.models import bases
from toughen.survey.project import Function, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.project import Project

ACTIONS: Final = {
    "list": ("", "GET"), "create": ("", "POST"), "retrieve": ("/{pk}", "GET"), "update": ("/{pk}", "PUT"), "partial_update": ("/{pk}", "PATCH"), "destroy": ("/{pk}", "DELETE"),
}  # fmt: skip
"""Actions of a viewset: what follows its prefix, and the method."""
_VERBS: Final = ("get", "post", "put", "patch", "delete")
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MIXED: Final = {
    "ModelViewSet": tuple(ACTIONS), "ReadOnlyModelViewSet": ("list", "retrieve"), "ListModelMixin": ("list",), "CreateModelMixin": ("create",), "RetrieveModelMixin": ("retrieve",),
    "UpdateModelMixin": ("update", "partial_update"), "DestroyModelMixin": ("destroy",),
}  # fmt: skip
_GENERIC: Final = {
    "CreateAPIView": "post", "ListAPIView": "get", "RetrieveAPIView": "get", "DestroyAPIView": "delete", "UpdateAPIView": "put patch", "ListCreateAPIView": "get post",
    "RetrieveUpdateAPIView": "get put patch", "RetrieveDestroyAPIView": "get delete", "RetrieveUpdateDestroyAPIView": "get put patch delete",
    "ListView": "get", "DetailView": "get", "TemplateView": "get", "RedirectView": "get", "ArchiveIndexView": "get", "CreateView": "get post", "UpdateView": "get post", "DeleteView": "get post", "FormView": "get post",
    "LoginView": "get post", "LogoutView": "post", "PasswordChangeView": "get post", "PasswordResetView": "get post", "PasswordResetConfirmView": "get post", "SignupView": "get post",
    "TokenObtainPairView": "post", "TokenRefreshView": "post", "TokenVerifyView": "post", "TokenBlacklistView": "post", "ObtainAuthToken": "post", "obtain_auth_token": "post", "ObtainJSONWebToken": "post",
}  # fmt: skip
"""Views of the libraries, and the methods that they serve."""
_MIXINS: Final = frozenset({"LoginRequiredMixin", "PermissionRequiredMixin", "UserPassesTestMixin"})
_READ_ONLY: Final = frozenset({"IsAuthenticatedOrReadOnly", "DjangoModelPermissionsOrAnonReadOnly"})
_GUARDS: Final = frozenset({"login_required", "permission_required", "user_passes_test", "staff_member_required"})

Served = tuple[tuple[str, ...], Symbol | None, int, tuple[ast.expr, ...], tuple[str, ...]]
"""(methods, what serves them, its line, what wraps it where it is registered, names of guards that stand in front of the class)."""


def methods_of(project: Project, symbol: Symbol | None) -> tuple[str, ...]:
    """The methods that a function view serves, by what it asks of `request.method` and takes from the request."""
    node = project.function(symbol) if symbol is not None else None
    if node is None:
        return ("GET",)
    for each in node.decorator_list:
        name = dotted(each.func if isinstance(each, ast.Call) else each).rpartition(".")[2]
        if name in {"require_POST", "require_GET", "require_safe"}:
            return ("POST",) if name == "require_POST" else ("GET",)
        if name in {"require_http_methods", "api_view"}:
            value = project.fold(each.args[0], symbol.file) if symbol is not None and isinstance(each, ast.Call) and each.args else ["GET"]
            return tuple(one for one in _METHODS if isinstance(value, list) and one in {str(given).upper() for given in value})
    return _tested(node)


def _tested(node: Function) -> tuple[str, ...]:
    """What the tests of `request.method` leave: `!= "POST"` that refuses leaves POST alone."""
    asked: list[str] = []
    only: list[str] = []
    reads = False
    for each in ast.walk(node):
        match each:
            case ast.If(test=ast.Compare(left=ast.Attribute(attr="method"), ops=[operator], comparators=[right]), body=body):
                named = [one.value.upper() for one in ast.walk(right) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                negated = isinstance(operator, ast.NotEq | ast.NotIn)
                asked += named
                if negated and isinstance(body[-1], ast.Return | ast.Raise) and not _renders(body[-1]):
                    only += named
                elif negated:
                    asked.append("GET")
            case ast.Compare(left=ast.Attribute(attr="method"), comparators=[right]):
                asked += [one.value.upper() for one in ast.walk(right) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            case ast.Attribute(attr="POST" | "body" | "FILES", value=ast.Name(id="request")):
                reads = True
    found = only or [*asked, *([] if asked and not _falls_through(node) else ["GET"])]
    if reads and not asked and not only:
        found = ["POST"]
    return tuple(each for each in _METHODS if each in found) or ("GET",)


def _renders(node: ast.stmt) -> bool:
    """Whether a branch shows a page, which is what GET is for."""
    return any(isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"render", "TemplateResponse"} for each in ast.walk(node))


def _falls_through(node: Function) -> bool:
    """Whether something is done for a method that no test names, other than to refuse it."""
    last = node.body[-1]
    if isinstance(last, ast.If) and not last.orelse:
        return False
    if isinstance(last, ast.Return) and isinstance(last.value, ast.Call):
        status = next((each.value for each in last.value.keywords if each.arg == "status"), None)
        name = dotted(last.value.func).rpartition(".")[2]
        return name != "HttpResponseNotAllowed" and not (isinstance(status, ast.Constant) and status.value == 405)  # noqa: PLR2004 - Method Not Allowed
    return not isinstance(last, ast.Raise)


class Views:
    """Reads the views of one project."""

    def __init__(self, project: Project) -> None:
        """Take the project."""
        self.project = project

    def read(self, file: str, view: ast.expr) -> Iterator[Served]:
        """A view as a pattern names it: a function, `Class.as_view()`, or either in what wraps it."""
        wrappers: list[ast.expr] = []
        while isinstance(view, ast.Call) and not (isinstance(view.func, ast.Attribute) and view.func.attr == "as_view"):
            if not view.args:
                return
            wrappers.append(view.func)
            view = view.args[0]
        actions: dict[str, str] = {}
        if isinstance(view, ast.Call) and isinstance(view.func, ast.Attribute):
            given = view.args[0] if view.args else None
            if isinstance(given, ast.Dict):
                actions = {str(key.value).lower(): str(value.value) for key, value in zip(given.keys, given.values, strict=True) if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)}
            view = view.func.value
        name = dotted(view)
        target = self.project.resolve(file, name) if name else ""
        symbol = target if isinstance(target, Symbol) else None
        definition = self.project.definition(symbol) if symbol else None
        if symbol is not None and definition is not None and definition.kind == "class":
            yield from self.klass(symbol, actions, tuple(wrappers))
        elif symbol is not None and definition is not None:
            guards = self.everywhere() if any(each.rpartition(".")[2] == "api_view" for each in definition.decorators) else ()
            node = self.project.function(symbol)
            own = self.permissions(symbol.file, node.decorator_list) if node is not None else None
            yield methods_of(self.project, symbol), symbol, definition.line, tuple(wrappers), guards if own is None else own
        else:
            verbs = _GENERIC.get(name.rpartition(".")[2], "get").split()
            for verb in verbs:
                yield (verb.upper(),), None, 0, tuple(wrappers), ()

    def klass(self, symbol: Symbol, actions: dict[str, str], wrappers: tuple[ast.expr, ...]) -> Iterator[Served]:
        """A route for each method of a class-based view."""
        above = [symbol, *bases(self.project, symbol)]
        served: dict[str, Symbol | None] = {}
        for each in reversed(above):
            if isinstance(each, str):
                served.update(dict.fromkeys(_GENERIC.get(each.rpartition(".")[2], "").split()))
            else:
                served.update({verb: Symbol(each.file, f"{each.name}.{verb}") for verb in _VERBS if self.project.definition(Symbol(each.file, f"{each.name}.{verb}"))})
        if actions:
            served = {verb: self.method(above, action) for verb, action in actions.items()}
        allowed = self.allowed(above)
        for verb, function in served.items():
            if allowed is None or verb in allowed:
                yield (verb.upper(),), function or symbol, self.line(function or symbol), wrappers, self.guards(above, verb.upper())

    def viewset(self, file: str, view: ast.expr) -> Iterator[tuple[str, tuple[str, ...], Symbol | None, int, tuple[str, ...]]]:
        """(what follows its prefix, methods, function, line, guards) of each action of a viewset."""
        target = self.project.resolve(file, dotted(view)) if dotted(view) else ""
        if not isinstance(target, Symbol):
            return
        above = [target, *bases(self.project, target)]
        allowed = self.allowed(above)
        named = [action for each in above if isinstance(each, str) for action in _MIXED.get(each.rpartition(".")[2], ())]
        named += [action for action in ACTIONS if self.method(above, action) is not None]
        key = next((value for each in above if isinstance(each, Symbol) if (value := self.project.text(self.project.value(Symbol(each.file, f"{each.name}.lookup_field")), each.file))), None)
        key = next((value for each in above if isinstance(each, Symbol) if (value := self.project.text(self.project.value(Symbol(each.file, f"{each.name}.lookup_url_kwarg")), each.file))), key) or "pk"
        for action in dict.fromkeys(each for each in ACTIONS if each in named):
            suffix, method = ACTIONS[action]
            function = self.method(above, action)
            if allowed is None or method.lower() in allowed:
                yield suffix.replace("pk", key), (method,), function or target, self.line(function or target), self.guards(above, method)
        for each in above:
            if isinstance(each, Symbol):
                yield from self.further(each, above, key)

    def further(self, symbol: Symbol, above: list[Symbol | str], key: str) -> Iterator[tuple[str, tuple[str, ...], Symbol | None, int, tuple[str, ...]]]:
        """Methods of a viewset that are decorated with `@action`."""
        klass = self.project.klass(symbol)
        for node in klass.body if klass is not None else []:
            call = next((each for each in getattr(node, "decorator_list", []) if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "action"), None)
            if call is None or not isinstance(node, Function):
                continue
            given = {each.arg: each.value for each in call.keywords}
            detail = given.get("detail", call.args[1] if len(call.args) > 1 else None)
            value = self.project.fold(given.get("methods", call.args[0] if call.args else None), symbol.file)
            methods = tuple(str(each).upper() for each in value) if isinstance(value, list) else ("GET",)
            path = self.project.text(given.get("url_path"), symbol.file) or node.name
            own = self.named(symbol.file, given["permission_classes"], methods[0]) if "permission_classes" in given else None
            function = Symbol(symbol.file, f"{symbol.name}.{node.name}")
            start = f"/{{{key}}}" if isinstance(detail, ast.Constant) and detail.value else ""
            yield f"{start}/{path}", methods, function, self.line(function), self.guards(above, methods[0]) if own is None else own

    def method(self, above: list[Symbol | str], name: str) -> Symbol | None:
        """The project's own method of that name, the nearest one."""
        found = (Symbol(each.file, f"{each.name}.{name}") for each in above if isinstance(each, Symbol))
        return next((each for each in found if self.project.definition(each)), None)

    def line(self, symbol: Symbol) -> int:
        """The line of a definition."""
        found = self.project.definition(symbol)
        return found.line if found else 0

    def allowed(self, above: list[Symbol | str]) -> set[str] | None:
        """Methods that `http_method_names` leaves, None where it is not set."""
        for each in above:
            if isinstance(each, Symbol):
                value = self.project.fold(self.project.value(Symbol(each.file, f"{each.name}.http_method_names")), each.file)
                if isinstance(value, list):
                    return {str(name).lower() for name in value}
        return None

    # -- guards --------------------------------------------------------------------------------------------

    def guards(self, above: list[Symbol | str], method: str) -> tuple[str, ...]:
        """Names of what stands in front of a class: mixins, decorators of `dispatch`, permission classes."""
        found = [each.rpartition(".")[2] for each in above if isinstance(each, str) and each.rpartition(".")[2] in _MIXINS]
        rest = any(isinstance(each, str) and ("rest_framework" in each or each.rpartition(".")[2].endswith(("APIView", "ViewSet"))) for each in above)
        asked: tuple[str, ...] | None = None
        for each in above:
            klass = self.project.klass(each) if isinstance(each, Symbol) else None
            if klass is None or not isinstance(each, Symbol):
                continue
            for decorator in klass.decorator_list:
                if isinstance(decorator, ast.Call) and dotted(decorator.func).rpartition(".")[2] == "method_decorator" and decorator.args:
                    inner = decorator.args[0]
                    held = inner.elts if isinstance(inner, ast.List | ast.Tuple) else [inner]
                    found += [name for one in held if (name := dotted(one.func if isinstance(one, ast.Call) else one).rpartition(".")[2]) in _GUARDS]
            value = self.project.value(Symbol(each.file, f"{each.name}.permission_classes"))
            if value is not None and asked is None:
                asked = self.named(each.file, value, method)
        if asked is None:
            asked = self.everywhere(method) if rest else ()
        return tuple(dict.fromkeys([*found, *asked]))

    def permissions(self, file: str, decorators: list[ast.expr]) -> tuple[str, ...] | None:
        """What `@permission_classes([...])` names in front of a function."""
        for each in decorators:
            if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "permission_classes" and each.args:
                return self.named(file, each.args[0], "POST")
        return None

    def named(self, file: str, node: ast.expr, method: str) -> tuple[str, ...]:
        """Names of the permission classes of a list, those that let everybody through left out."""
        del file
        names = [dotted(each).rpartition(".")[2] for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute) and not isinstance(getattr(each, "ctx", None), ast.Store)]
        return tuple(dict.fromkeys(each for each in names if each[:1].isupper() and each != "AllowAny" and not (each in _READ_ONLY and method == "GET")))

    def everywhere(self, method: str = "POST") -> tuple[str, ...]:
        """Permission classes that the settings put in front of every view of Django REST framework."""
        value = django.setting(self.project, "REST_FRAMEWORK")
        for key, held in zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value == "DEFAULT_PERMISSION_CLASSES":
                names = [str(each.value).rpartition(".")[2] for each in ast.walk(held) if isinstance(each, ast.Constant)]
                return tuple(each for each in names if each != "AllowAny" and not (each in _READ_ONLY and method == "GET"))
        return ()
