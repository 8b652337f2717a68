"""The language of `#expr`: MediaWiki's operators and precedences, by two stacks (shunting yard).

Neither `eval` nor recursion: an expression of any size and nesting takes time linear in its tokens.
Source of the semantics: MediaWiki's Help:Extension:ParserFunctions, "#expr".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

MAX_EXPRESSION_CHARACTERS = 20_000
_MAX_POWER_BITS = 512

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*|\.\d+)|([A-Za-z]+)|(<>|<=|>=|!=|[-+*/^()=<>]))")
_SPACE = re.compile(r"[\s\u00a0]+")
_REPLACED = {"\u2212": "-", "&lt;": "<", "&gt;": ">", "&minus;": "-", "&nbsp;": " ", "×": "*"}

_CONSTANTS = {"e": math.e, "pi": math.pi}
_FUNCTIONS = {
    "not": 9, "exp": 9, "ln": 9, "abs": 9, "floor": 9, "trunc": 9, "ceil": 9, "sqrt": 9,
    "sin": 9, "cos": 9, "tan": 9, "asin": 9, "acos": 9, "atan": 9,
}  # fmt: skip
_BINARY = {
    "e": 10, "^": 8, "*": 7, "/": 7, "div": 7, "mod": 7, "fmod": 7, "+": 6, "-": 6, "round": 5,
    "=": 4, "<": 4, ">": 4, "<=": 4, ">=": 4, "<>": 4, "!=": 4, "and": 3, "or": 2,
}  # fmt: skip
_SIGN = 10

Number = int | float


class ExpressionError(Exception):
    """What is wrong, in the words MediaWiki uses."""


def evaluate(expression: str) -> str:
    """The value of an expression as `#expr` prints it; "" for a blank one.

    Raises:
        ExpressionError: it is no expression, or has no value (division by zero).
    """
    for old, new in _REPLACED.items():
        if old in expression:
            expression = expression.replace(old, new)
    expression = _SPACE.sub(" ", expression).strip()
    if not expression:
        return ""
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise ExpressionError("Expression error: Stack exhausted.")
    try:
        value = _Calculator().run(expression)
    except (OverflowError, ValueError):
        return "NAN"
    return format_number(value)


def format_number(value: Number) -> str:
    """A number as PHP prints it: 14 significant digits, "1.0E+25" for large, no trailing zeros."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int) and abs(value) < 10**14:
        return str(value)
    value = float(value)
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    mantissa, _, exponent_text = f"{value:.13e}".partition("e")
    exponent = int(exponent_text)
    if -5 < exponent < 14:
        text = f"{Decimal(f'{mantissa}e{exponent}'):f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = mantissa.rstrip("0")
    return f"{mantissa + '0' if mantissa.endswith('.') else mantissa}E{exponent:+d}"


class _Calculator:
    """Operand and operator stacks of one expression."""

    def __init__(self) -> None:
        self._operands: list[Number] = []
        self._operators: list[tuple[str, int]] = []

    def run(self, expression: str) -> Number:
        expects_operand = True
        position = 0
        while position < len(expression):
            token = _TOKEN.match(expression, position)
            if token is None:
                if not expression[position:].strip():
                    break
                raise ExpressionError(
                    f"Expression error: Unrecognized punctuation character '{expression[position]}'"
                )
            position = token.end()
            number, word, sign = token.groups()
            if number is not None:
                if not expects_operand:
                    raise ExpressionError("Expression error: Unexpected number.")
                is_whole = "." not in number and len(number) < 16
                self._operands.append(int(number) if is_whole else float(number))
                expects_operand = False
            elif expects_operand:
                expects_operand = self._operand((word or sign).lower())
            else:
                expects_operand = self._operator((word or sign).lower())
        return self._result()

    def _operand(self, token: str) -> bool:
        """Take a token where an operand may start; whether one is still expected."""
        if token == "(":
            self._operators.append(("(", -1))
        elif token in _FUNCTIONS:
            self._operators.append((token, _FUNCTIONS[token]))
        elif token in _CONSTANTS:
            self._operands.append(_CONSTANTS[token])
            return False
        elif token in "+-":
            self._operators.append(("unary" + token, _SIGN))
        elif token == ")":
            raise ExpressionError("Expression error: Unexpected closing bracket.")
        elif token in _BINARY:
            raise ExpressionError(f"Expression error: Unexpected {token} operator.")
        else:
            raise ExpressionError(f'Expression error: Unrecognized word "{token}".')
        return True

    def _operator(self, token: str) -> bool:
        """Take a token behind an operand; whether one is expected next."""
        if token == ")":
            while self._operators and self._operators[-1][0] != "(":
                self._apply()
            if not self._operators:
                raise ExpressionError("Expression error: Unexpected closing bracket.")
            self._operators.pop()
            return False
        precedence = _BINARY.get(token)
        if precedence is None:
            if token == "(":
                raise ExpressionError("Expression error: Unexpected opening bracket.")
            if token in _FUNCTIONS or token in _CONSTANTS:
                raise ExpressionError(f"Expression error: Unexpected {token} operator.")
            raise ExpressionError(f'Expression error: Unrecognized word "{token}".')
        while self._operators and self._operators[-1][1] >= precedence:
            self._apply()
        self._operators.append((token, precedence))
        return True

    def _apply(self) -> None:
        token, _ = self._operators.pop()
        try:
            if token in _UNARY_RESULTS:
                value = _UNARY_RESULTS[token](self._operands.pop())
            else:
                right, left = self._operands.pop(), self._operands.pop()
                value = _BINARY_RESULTS[token](left, right)
            # PHP's whole numbers are floats from here on; ours must not grow without bound.
            is_large = isinstance(value, int) and abs(value) >= 2**63
            self._operands.append(float(value) if is_large else value)
        except IndexError:
            raise ExpressionError(f"Expression error: Missing operand for {token}.") from None

    def _result(self) -> Number:
        while self._operators:
            if self._operators[-1][0] == "(":
                raise ExpressionError("Expression error: Unclosed bracket.")
            self._apply()
        if len(self._operands) != 1:
            raise ExpressionError("Expression error: Missing operand.")
        return self._operands[0]


def _divide(left: Number, right: Number) -> Number:
    if right == 0:
        raise ExpressionError("Division by zero.")
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _modulo(left: Number, right: Number) -> Number:
    """Of whole numbers, with the sign of the dividend, as PHP's "%"."""
    divisor, dividend = int(right), int(left)
    if divisor == 0:
        raise ExpressionError("Division by zero.")
    return int(math.copysign(1, dividend)) * (abs(dividend) % abs(divisor))


def _float_modulo(left: Number, right: Number) -> Number:
    if right == 0:
        raise ExpressionError("Division by zero.")
    return math.fmod(left, right)


def _power(left: Number, right: Number) -> Number:
    if left == 0 and right < 0:
        return math.nan
    is_whole = isinstance(left, int) and isinstance(right, int) and right >= 0
    if is_whole and int(left).bit_length() * right <= _MAX_POWER_BITS:
        return int(left**right)
    return math.pow(left, right)


def _round(value: Number, digits: Number) -> Number:
    """Half away from zero, on the shortest decimal form, to int(digits) places."""
    places = max(-400, min(400, int(digits)))
    if isinstance(value, float) and not math.isfinite(value):
        return value
    exact = Decimal(repr(value) if isinstance(value, float) else value)
    exponent = exact.as_tuple().exponent
    if isinstance(exponent, int) and -exponent <= places:
        return value
    step = Decimal(1).scaleb(-places)
    rounded = (exact / step).to_integral_value(ROUND_HALF_UP) * step
    return int(rounded) if places <= 0 and abs(rounded) < 2**63 else float(rounded)


def _scale(left: Number, right: Number) -> Number:
    """`1.5e3`: the power of ten; exact where the parts are whole."""
    if right == int(right) and abs(right) < 400:
        value = float(f"{left!r}e{int(right)}") if "e" not in repr(left) else left * 10.0**right
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    return float(left * math.pow(10, right))


def _logarithm(value: Number) -> Number:
    if value <= 0:
        raise ExpressionError("Invalid argument for ln: <= 0.")
    return math.log(value)


def _arc(function: Callable[[float], float], name: str) -> Callable[[Number], Number]:
    def checked(value: Number) -> Number:
        if not -1 <= value <= 1:
            raise ExpressionError(f"Invalid argument for {name}: < -1 or > 1.")
        return function(value)

    return checked


def _square_root(value: Number) -> Number:
    if value < 0:
        return math.nan
    root = math.sqrt(value)
    return int(root) if root == int(root) else root


def _equals(left: Number, right: Number) -> Number:
    return int(left == right)


_UNARY_RESULTS: dict[str, Callable[[Number], Number]] = {
    "unary-": lambda a: -a,
    "unary+": lambda a: a,
    "not": lambda a: int(not a),
    "exp": lambda a: math.exp(a),
    "ln": _logarithm,
    "abs": abs,
    "floor": lambda a: math.floor(a),
    "ceil": lambda a: math.ceil(a),
    "trunc": lambda a: math.trunc(a),
    "sqrt": _square_root,
    "sin": lambda a: math.sin(a),
    "cos": lambda a: math.cos(a),
    "tan": lambda a: math.tan(a),
    "asin": _arc(math.asin, "asin"),
    "acos": _arc(math.acos, "acos"),
    "atan": lambda a: math.atan(a),
}
_BINARY_RESULTS: dict[str, Callable[[Number, Number], Number]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "div": _divide,
    "mod": _modulo,
    "fmod": _float_modulo,
    "^": _power,
    "e": _scale,
    "round": _round,
    "=": _equals,
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "<>": lambda a, b: int(a != b),
    "!=": lambda a, b: int(a != b),
    "and": lambda a, b: int(bool(a) and bool(b)),
    "or": lambda a, b: int(bool(a) or bool(b)),
}
