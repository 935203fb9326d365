"""Owns the text of the module that works out arithmetic in a mended project, in the place of `eval`."""

ARITHMETIC = '''"""How expressions of clients are worked out: numbers, texts, lists and arithmetic are read, and nothing in them is run."""

import ast
import operator

LONGEST_TEXT = 1000
MOST_BITS = 10_000

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def worked_out(text):
    """What an expression comes to. Raises SyntaxError, ValueError, or ArithmeticError as Python does (1 / 0)."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError("The expression is no text, or too long")
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (RecursionError, MemoryError):
        raise ValueError("The expression is nested too deeply") from None


def _value(node):
    if isinstance(node, (ast.BinOp, ast.UnaryOp)):
        return _applied(node)
    return ast.literal_eval(node)


def _applied(node):
    operands = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
    values = [_value(each) for each in operands]
    if type(node.op) not in _OPERATORS or not all(isinstance(each, (int, float, complex)) for each in values):
        raise ValueError("The expression holds more than arithmetic")
    if isinstance(node.op, ast.Pow) and all(isinstance(each, int) for each in values):
        base, exponent = values
        if abs(base) > 1 and base.bit_length() * exponent > MOST_BITS:
            raise ValueError("The result is too large")
    result = _OPERATORS[type(node.op)](*values)
    if isinstance(result, int) and result.bit_length() > MOST_BITS:
        raise ValueError("The result is too large")
    return result
'''
