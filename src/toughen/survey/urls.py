"""Owns the routes that a Django project's source declares: the URLconf, what it includes, and the routers of Django REST framework."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.model.blueprint import Parameter, Place
from toughen.survey import django
from toughen.survey.facts import dotted
from toughen.survey.project import Symbol, argument, keyword
from toughen.survey.routes import Found
from toughen.survey.views import ACTIONS, Views

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.project import Project

_DEEPEST: Final = 10
_PART: Final = re.compile(r"<(?:([A-Za-z_]\w*):)?([A-Za-z_]\w*)>")
_TYPES: Final = {"int": ("integer", None), "uuid": ("string", "uuid")}
_PATHS: Final = frozenset({"path", "re_path", "url"})
_ASIDE: Final = ("admin.site.urls", "debug_toolbar.urls", "silk.urls")


def declared(project: Project) -> list[Found]:
    """Every route that the source's URLconf leads to, in its order."""
    reader = _Reader(project)
    for file in reader.roots():
        reader.file(file, "", {}, 0)
    unique: dict[tuple[str, str], Found] = {}
    for route in reader.found:
        for method in route.methods:
            unique.setdefault((method, route.path), route)
    kept = {id(each) for each in unique.values()}
    return [each for each in reader.found if id(each) in kept]


def _lined(text: str, *, regex: bool) -> tuple[str, dict[str, str]]:
    """A pattern as a template in braces, and its converters."""
    if not regex:
        return _PART.sub(r"{\2}", text), {name: kind or "str" for kind, name in _PART.findall(text)}
    kinds: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        kinds[found[1]] = "int" if re.fullmatch(r"(\\d|\[0-9\])([+*]|\{[\d,]+\})?", found[2]) else "str"
        return f"{{{found[1]}}}"

    path = re.sub(r"\(\?P<(\w+)>((?:[^()\\]|\\.|\([^()]*\))*)\)", named, text)
    number = 0

    def unnamed(_: re.Match[str]) -> str:
        nonlocal number
        number += 1
        kinds[f"arg{number}"] = "str"
        return f"{{arg{number}}}"

    path = re.sub(r"\((?!\?)(?:[^()\\]|\\.)*\)", unnamed, path)
    path = re.sub(r"\(\?:([^()|]*)[^()]*\)[?*+]?", r"\1", path)
    return re.sub(r"\\([^A-Za-z0-9])", r"\1", re.sub(r"\\[AZ]|(?<!\\)[\^$?]", "", path)), kinds


class _Reader:
    """Follows the URLconf from file to file."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.views = Views(project)
        self.found: list[Found] = []
        self.open: set[str] = set()

    def roots(self) -> list[str]:
        """Files of the URLconf that the settings name, else every one that no other includes."""
        named = django.text_setting(self.project, "ROOT_URLCONF")
        if named is not None and (file := self.module("", named)):
            return [file]
        files = [file for file, facts in self.project.facts.items() if "urlpatterns" in facts.assigned]
        return sorted(files, key=lambda file: file.count("/"))[:1]

    def module(self, file: str, name: str) -> str | None:
        """The project's file of a dotted module."""
        found = self.project.absolute(file, name)
        return found.file if isinstance(found, Symbol) and not found.name else None

    def file(self, file: str, prefix: str, kinds: dict[str, str], depth: int, name: str = "urlpatterns") -> None:
        """Read the patterns of a file."""
        if depth > _DEEPEST or f"{file}:{name}" in self.open:
            return
        tree = syntax.tree(self.project.sources.texts.get(file, ""))
        self.open.add(f"{file}:{name}")
        for node in tree.body if tree is not None else []:
            match node:
                case ast.Assign(targets=[ast.Name(id=bound)], value=value) | ast.AnnAssign(target=ast.Name(id=bound), value=ast.expr() as value) if bound == name:
                    self.patterns(file, value, prefix, kinds, depth)
                case ast.AugAssign(target=ast.Name(id=bound), value=value) if bound == name:
                    self.patterns(file, value, prefix, kinds, depth)
        self.open.discard(f"{file}:{name}")

    def patterns(self, file: str, node: ast.expr, prefix: str, kinds: dict[str, str], depth: int) -> None:
        """Read a list of patterns, or whatever stands for one."""
        if depth > _DEEPEST:
            return
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                for each in elements:
                    self.pattern(file, each.value if isinstance(each, ast.Starred) else each, prefix, kinds, depth)
            case ast.BinOp(left=left, right=right):
                self.patterns(file, left, prefix, kinds, depth)
                self.patterns(file, right, prefix, kinds, depth)
            case ast.Attribute(attr="urls", value=owner):
                self.router(file, dotted(owner), prefix, kinds)
            case ast.Name(id=name):
                found = self.project.resolve(file, name)
                if isinstance(found, Symbol):
                    self.file(found.file, prefix, kinds, depth + 1, found.name)
            case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] in {"format_suffix_patterns", "i18n_patterns", "decorator_include"}:
                self.patterns(file, first, prefix, kinds, depth + 1)

    def pattern(self, file: str, node: ast.expr, prefix: str, kinds: dict[str, str], depth: int) -> None:
        """Read one `path(...)`."""
        if not isinstance(node, ast.Call) or (called := dotted(node.func).rpartition(".")[2]) not in _PATHS:
            self.patterns(file, node, prefix, kinds, depth + 1)
            return
        text = self.project.text(argument(node, 0, "route", "regex"), file)
        view = argument(node, 1, "view")
        if text is None or view is None:
            return
        path, more = _lined(text, regex=called != "path")
        whole, known = prefix + path, {**kinds, **more}
        if isinstance(view, ast.Call) and dotted(view.func).rpartition(".")[2] == "include":
            self.include(file, view, whole, known, depth)
        elif isinstance(view, ast.Attribute) and view.attr == "urls":
            if ast.unparse(view) not in _ASIDE:
                self.router(file, dotted(view.value), whole, known)
        else:
            self.view(file, node, view, whole, known)

    def include(self, file: str, call: ast.Call, prefix: str, kinds: dict[str, str], depth: int) -> None:
        """Read what a pattern includes: a module by its name, or a list."""
        given = argument(call, 0, "arg")
        if isinstance(given, ast.Tuple) and given.elts:
            given = given.elts[0]
        text = self.project.text(given, file) if given is not None else None
        if text is not None:
            found = self.module(file, text)
            if found is not None:
                self.file(found, prefix, kinds, depth + 1)
        elif given is not None:
            target = self.project.resolve(file, dotted(given)) if dotted(given) else ""
            if isinstance(target, Symbol) and not target.name:
                self.file(target.file, prefix, kinds, depth + 1)
            else:
                self.patterns(file, given, prefix, kinds, depth + 1)

    def view(self, file: str, call: ast.Call, view: ast.expr, path: str, kinds: dict[str, str]) -> None:
        """One view at one path: a route for each of its methods."""
        whole = path if path.startswith("/") else f"/{path}"
        parameters = _parameters(whole, kinds)
        for methods, symbol, line, wrappers, guards in self.views.read(file, view):
            self.found.append(Found(methods, whole, symbol, line, None, call, wrappers, parameters, secured=guards))

    # -- routers of Django REST framework ------------------------------------------------------------------

    def router(self, file: str, name: str, prefix: str, kinds: dict[str, str]) -> None:
        """The routes of everything that is registered with a router."""
        found = self.project.resolve(file, name) if name else ""
        if not isinstance(found, Symbol):
            return
        bound = found.name
        made = self.project.value(found)
        start, more = self.nested(found.file, made) if isinstance(made, ast.Call) else ("", {})
        slash = "" if isinstance(made, ast.Call) and isinstance(each := keyword(made, "trailing_slash"), ast.Constant) and each.value is False else "/"
        for user, call in self.registered(found, bound):
            text = self.project.text(argument(call, 0, "prefix"), user)
            view = argument(call, 1, "viewset")
            if text is None or view is None:
                continue
            path, own = _lined(text, regex=True)
            base = f"{prefix}{start}{path}".replace("//", "/")
            for suffix, methods, symbol, line, guards in self.views.viewset(user, view):
                whole = "/" + f"{base}{suffix}{slash}".lstrip("/")
                parameters = _parameters(whole, {**kinds, **more, **own})
                self.found.append(Found(methods, whole, symbol, line, None, call, (), parameters, secured=guards))

    def registered(self, router: Symbol, bound: str) -> Iterator[tuple[str, ast.Call]]:
        """(file, call) of every `router.register(...)`, in the router's own file or where it is imported."""
        for file, text in self.project.sources.texts.items():
            tree = syntax.tree(text) if ".register(" in text and file in self.project.facts else None
            for node in ast.walk(tree) if tree is not None else ():
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "register":
                    owner = dotted(node.func.value)
                    if (file == router.file and owner == bound) or (owner and self.project.resolve(file, owner) == router):
                        yield file, node

    def nested(self, file: str, made: ast.Call) -> tuple[str, dict[str, str]]:
        """The path in front of a nested router's: `NestedDefaultRouter(parent, "wallets", lookup="wallet")`."""
        if "Nested" not in dotted(made.func):
            return "", {}
        text, lookup = self.project.text(argument(made, 1, "parent_prefix"), file), self.project.text(keyword(made, "lookup"), file) or "nested_1"
        return (f"{text}/{{{lookup}_pk}}/", {f"{lookup}_pk": "str"}) if text else ("", {})


def _parameters(path: str, kinds: dict[str, str]) -> tuple[Parameter, ...]:
    found = []
    for name in re.findall(r"\{(\w+)\}", path):
        kind, form = _TYPES.get(kinds.get(name, ""), ("string", None))
        found.append(Parameter(Place.PATH, (name,), kind, required=True, format=form))
    return tuple(found)


__all__ = ["ACTIONS", "declared"]
