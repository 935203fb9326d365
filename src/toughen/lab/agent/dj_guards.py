"""Owns what stands in front of a view of Django's: decorators, mixins, permission classes, and middleware that asks for a log-in."""

from __future__ import annotations

import sys
from types import FunctionType, SimpleNamespace
from typing import Any

from .functions import own_function, spot

_SAFE = ("GET", "HEAD", "OPTIONS")
_READ_ONLY = ("IsAuthenticatedOrReadOnly", "DjangoModelPermissionsOrAnonReadOnly")
_DECORATORS = ("login_required", "permission_required", "user_passes_test", "staff_member_required")
_MODULES = ("django.contrib.auth.decorators", "django.contrib.admin.views.decorators")
_MIXINS = ("LoginRequiredMixin", "PermissionRequiredMixin", "UserPassesTestMixin", "AccessMixin")
_DEEP = 20

Guard = dict[str, Any]


def guards(view: Any, names: tuple[str, str]) -> list[Guard]:
    """GUARDs of one method of a view: name, kind, place and roles."""
    method, action = names
    found: list[Guard] = []
    kind = next((each for each in (getattr(view, "cls", None), getattr(view, "view_class", None)) if isinstance(each, type)), None)
    found += _decorators(view)
    if kind is not None:
        found += _decorators(getattr(kind, "dispatch", None))
        found += _decorators(getattr(kind, action, None)) if action else []
        found += [_guard(each.__name__, "decorator") for each in kind.__mro__ if each.__module__ == "django.contrib.auth.mixins" and each.__name__ in _MIXINS[:3]]
        found += _permissions(view, kind, method, action)
    if not found and _everywhere(view):
        found.append(_guard("LoginRequiredMiddleware", "decorator"))
    unique: dict[str, Guard] = {}
    for each in found:
        unique.setdefault(each["name"], each)
    return list(unique.values())


def _guard(name: str, kind: str, target: Any = None, roles: tuple[str, ...] = ()) -> Guard:
    where = spot(target) if target is not None else None
    return {"name": name, "kind": kind, "file": where[0] if where else "", "line": where[1] if where else 0, "roles": list(roles)}


def _decorators(view: Any) -> list[Guard]:
    found: list[Guard] = []
    current, seen = view, set()
    for _ in range(_DEEP):
        if not isinstance(current, FunctionType) or id(current) in seen:
            break
        seen.add(id(current))
        held = _held(current)
        module, inner = current.__code__.co_filename.replace("\\", "/"), current.__globals__.get("__name__", "")
        if inner in _MODULES and callable(held.get("test_func")):
            found.append(_tested(held["test_func"]))
        elif module.endswith("django/utils/decorators.py"):
            for value in held.values():
                for each in value if isinstance(value, (list, tuple)) else [value]:
                    found += _given(each)
        current = getattr(current, "__wrapped__", None)
    return found


def _given(decorator: Any) -> list[Guard]:
    """What a decorator that `method_decorator` was given asks for."""
    if not isinstance(decorator, FunctionType):
        return []
    if decorator.__name__ in _DECORATORS:
        return [_guard(decorator.__name__, "decorator")]
    test = _held(decorator).get("test_func")
    return [_tested(test)] if callable(test) else []


def _tested(test: Any) -> Guard:
    name = str(getattr(test, "__qualname__", "") or "").split(".")[0]
    roles = ("is_staff",) if name == "staff_member_required" else ()
    if own_function(test) is not None:
        return _guard("user_passes_test(" + str(getattr(test, "__name__", "") or "") + ")", "decorator", test)
    return _guard(name if name in _DECORATORS else "user_passes_test", "decorator", None, roles)


def _held(function: FunctionType) -> dict[str, Any]:
    held = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            held[name] = cell.cell_contents
        except ValueError:
            continue
    return held


def _permissions(view: Any, kind: type, method: str, action: str) -> list[Guard]:
    """Permission classes of Django REST framework: what the view would ask, without asking it."""
    if not hasattr(kind, "permission_classes"):
        return []
    asked = None
    made = instance(view, kind, method, action)
    if made is not None:
        try:
            asked = [type(each) for each in made.get_permissions()]
        except Exception:
            asked = None
    if asked is None:
        initial = getattr(view, "initkwargs", None) or {}
        asked = list(initial.get("permission_classes") or getattr(kind, "permission_classes", None) or ())
    found = []
    for each in asked:
        for permission in _operands(each):
            name = getattr(permission, "__name__", type(permission).__name__)
            if name == "AllowAny" or (name in _READ_ONLY and method in _SAFE):
                continue
            roles = ("is_staff",) if name == "IsAdminUser" else ()
            found.append(_guard(name, "dependency", permission if isinstance(permission, type) else None, roles))
    return found


def _operands(permission: Any) -> list[Any]:
    """`IsOwner | IsAdminUser` asks for either."""
    held = [getattr(permission, name, None) for name in ("op1_class", "op2_class", "op1", "op2")]
    inner = [each for each in held if each is not None]
    return inner or [permission]


def instance(view: Any, kind: type, method: str, action: str) -> Any:
    """A view made as the framework would make it for such a request, None where it cannot be."""
    try:
        initial = dict(getattr(view, "initkwargs", None) or getattr(view, "view_initkwargs", None) or {})
        made = kind(**initial)
        request = SimpleNamespace(method=method, user=_nobody(), data={}, query_params={}, GET={}, POST={}, FILES={}, META={}, headers={}, session={}, auth=None)
        made.request, made.args, made.kwargs, made.action, made.format_kwarg = request, (), {}, action, None
        made.object = None
    except Exception:
        return None
    return made


def _nobody() -> Any:
    models = sys.modules.get("django.contrib.auth.models")
    return models.AnonymousUser() if models is not None else None


def _everywhere(view: Any) -> bool:
    """Whether Django's own middleware asks for a log-in in front of this view."""
    conf = sys.modules.get("django.conf")
    try:
        named = conf.settings.MIDDLEWARE if conf is not None else ()
        return any(str(each).endswith(".LoginRequiredMiddleware") for each in named) and bool(getattr(view, "login_required", True))
    except Exception:
        return False
