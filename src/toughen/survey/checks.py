"""Owns which values a test demands of the request."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.survey.expressions import Expressions

if TYPE_CHECKING:
    from toughen.survey.reading import Origin


_KEY = re.compile(r"[A-Za-z_][\w-]+")
"""What may be a key of a value: `'@' in email` looks into a text."""


class Checks(Expressions):
    """The tests of one function."""

    def condition(self, test: ast.expr, *, stops: bool) -> None:
        """Read a test; where the branch refuses, what it asks for is required."""
        if not stops:
            # `if "x" in data:` makes what follows optional.
            for each in ast.walk(test):
                match each:
                    case ast.Compare(left=left, ops=[ast.In()], comparators=[right]):
                        self.optional.update(self.keyed(left, right))
        self.value(test)
        if stops:
            for origin in self.demanded(test):
                self.reading.note(origin).required = True

    def demanded(self, test: ast.expr) -> list[Origin]:
        """Values whose absence makes a test true."""
        match test:
            case ast.Name(id=name) if name in self.absent:
                return self.absent[name]
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]) if name in self.absent:
                return self.absent[name]
            case ast.Compare(left=left, ops=[ast.Gt() | ast.NotEq()]) if self.demanded(left):
                return self.demanded(left) if isinstance(left, ast.Call | ast.Name) else []
            case ast.BoolOp(op=ast.Or(), values=values):
                return [origin for each in values for origin in self.demanded(each)]
            case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=ast.And(), values=values)):
                return [origin for each in values if (origin := self.origin(each)) and origin.path]
            case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="all"), args=[inner])):
                return self.listed(inner)
            case ast.Call(func=ast.Name(id="any"), args=[inner]):
                return self.listed(inner)
            case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.In()], comparators=[right])):
                return self.keyed(left, right)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                origin = self.origin(operand)
                return [origin] if origin and origin.path else []
            case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[right]):
                return self.keyed(left, right)
            case ast.Compare(left=left, ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None | "")]):
                origin = self.origin(left)
                return [origin] if origin and origin.path else []
        return []

    def keyed(self, left: ast.expr, right: ast.expr) -> list[Origin]:
        """Values that `left in right` asks for."""
        holder = self.origin(right)
        if holder is None or holder.place is None:
            return []
        match left:
            case ast.Constant(value=str() as key) if not holder.path or _KEY.fullmatch(key):
                return [holder.below(key)]
            case ast.Name(id=name) if name in self.keys:
                return [holder.below(key) for key in self.keys[name]]
        return []

    def listed(self, node: ast.expr) -> list[Origin]:
        """Values that a list or a comprehension over keys asks for."""
        match node:
            case (
                ast.GeneratorExp(elt=element, generators=[generator])
                | ast.ListComp(elt=element, generators=[generator])
            ):
                keys = self.literal(generator.iter)
                if keys is not None and isinstance(generator.target, ast.Name):
                    self.keys[generator.target.id] = [each for each in keys if isinstance(each, str)]
                    found = self.demanded(element)
                    if isinstance(element, ast.Compare) and isinstance(element.ops[0], ast.In):
                        found += self.keyed(element.left, element.comparators[0])
                    found += self.looked_up(element)
                    return found
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [origin for each in elements if (origin := self.origin(each)) and origin.path]
        return []

    def absentees(self, node: ast.ListComp) -> list[Origin]:
        """`missing = [key for key in REQUIRED if key not in data]`."""
        generator = node.generators[0]
        keys = self.literal(generator.iter)
        if keys is None or not isinstance(generator.target, ast.Name) or not generator.ifs:
            return []
        saved = dict(self.keys)
        self.keys[generator.target.id] = [each for each in keys if isinstance(each, str)]
        found = [*self.demanded(generator.ifs[0]), *self.looked_up(generator.ifs[0])]
        self.keys = saved
        return found

    def looked_up(self, node: ast.expr) -> list[Origin]:
        """`data.get(field)` where the field runs over literal keys."""
        operand = node.operand if isinstance(node, ast.UnaryOp) else node
        match operand:
            case ast.Call(func=ast.Attribute(attr="get", value=owner), args=[ast.Name(id=name), *_]) if (
                name in self.keys
            ):
                holder = self.origin(owner)
                return [holder.below(key) for key in self.keys[name]] if holder and holder.place else []
            case ast.Subscript(value=owner, slice=ast.Name(id=name)) if name in self.keys:
                holder = self.origin(owner)
                return [holder.below(key) for key in self.keys[name]] if holder and holder.place else []
        return []
