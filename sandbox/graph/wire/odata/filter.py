"""`$filter`: comparisons with `eq`, joined by `and`, `or` and parentheses (Microsoft Graph §1.3)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

type Item = Mapping[str, object]
type Condition = Callable[[Item], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<word>[A-Za-z_]\w*)|(?P<sign>[()]))"
)
_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "null": None}


class FilterError(ValueError):
    """The expression is malformed, or uses what the service does not support."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def parse_filter(expression: str, properties: frozenset[str]) -> Condition:
    """Return a condition for an item as it is on the wire.

    `and` binds closer than `or`. Only scalar `properties` may be compared. Raises FilterError.
    """
    parser = _Parser(list(_tokens(expression)), properties)
    condition = parser.disjunction()
    parser.require_end()
    return condition


def _tokens(expression: str) -> Iterator[_Token]:
    position = 0
    expression = expression.rstrip()
    while position < len(expression):
        found = _TOKEN.match(expression, position)
        if found is None or found.lastgroup is None:
            raise FilterError(f"Syntax error at position {position} in '{expression}'.")
        yield _Token(found.lastgroup, found[found.lastgroup])
        position = found.end()


class _Parser:
    def __init__(self, tokens: list[_Token], properties: frozenset[str]) -> None:
        self._tokens = tokens
        self._properties = properties

    def disjunction(self) -> Condition:
        conditions = [self._conjunction()]
        while self._takes("or"):
            conditions.append(self._conjunction())
        return lambda item: any(condition(item) for condition in conditions)

    def require_end(self) -> None:
        if self._tokens:
            raise FilterError(f"Syntax error: '{self._tokens[0].text}' was not expected.")

    def _conjunction(self) -> Condition:
        conditions = [self._comparison()]
        while self._takes("and"):
            conditions.append(self._comparison())
        return lambda item: all(condition(item) for condition in conditions)

    def _comparison(self) -> Condition:
        if self._takes("("):
            condition = self.disjunction()
            if not self._takes(")"):
                raise FilterError("Syntax error: a closing parenthesis is missing.")
            return condition
        name = self._next("word")
        if name not in self._properties:
            raise FilterError(f"Could not find a property named '{name}'.")
        if not self._takes("eq"):
            raise FilterError(f"The operator after '{name}' is not supported.")
        value = self._value()
        return lambda item: item.get(name) == value

    def _value(self) -> object:
        if not self._tokens:
            raise FilterError("Syntax error: a value is missing.")
        token = self._tokens.pop(0)
        match token.kind:
            case "text":
                return token.text[1:-1].replace("''", "'")
            case "number":
                return float(token.text)
            case _ if token.text in _CONSTANTS:
                return _CONSTANTS[token.text]
            case _:
                raise FilterError(f"Syntax error: '{token.text}' is not a value.")

    def _next(self, kind: str) -> str:
        if not self._tokens or self._tokens[0].kind != kind:
            raise FilterError("Syntax error: a property name is missing.")
        return self._tokens.pop(0).text

    def _takes(self, text: str) -> bool:
        if self._tokens and self._tokens[0].kind != "text" and self._tokens[0].text == text:
            self._tokens.pop(0)
            return True
        return False
