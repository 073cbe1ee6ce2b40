"""Whether a condition of an instance will be true, as far as that is known before a record exists (ServiceNow §2.3).

Pure. The record will have the values that we send, and others that the instance sets, which cannot be foreseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

type Truth = bool | None
"""None: it cannot be foreseen."""

_TERM: Final = re.compile(
    r"(?P<field>[a-z][a-z0-9_]*)"
    r"(?P<operator>ISNOTEMPTY|ISEMPTY|ANYTHING|STARTSWITH|ENDSWITH|NOT LIKE|NOTLIKE|LIKE|CONTAINS|NOT IN|IN|!=|=)"
    r"(?P<value>.*)",
    re.DOTALL,
)
_EVALUATED: Final = re.compile(r"\s*javascript:", re.IGNORECASE)


def truth(condition: str, sent: Mapping[str, str]) -> Truth:
    """Return whether a new record with these values will match an encoded query."""
    groups: list[list[list[Truth]]] = [[]]
    neighbour: list[Truth] | None = None
    for term in condition.split("^"):
        if term in {"", "EQ"} or term.startswith(("ORDERBY", "GROUPBY")):
            continue
        text = term
        if term.startswith("NQ"):
            groups.append([])
            neighbour, text = None, term.removeprefix("NQ")
        elif term.startswith("OR"):
            text = term.removeprefix("OR")
        if neighbour is None or text is term or term.startswith("NQ"):
            neighbour = []
            groups[-1].append(neighbour)
        neighbour.append(_term(text, sent))
    written = [group for group in groups if group]
    return _any(_all(_any(alternatives) for alternatives in group) for group in written) if written else True


def _term(text: str, sent: Mapping[str, str]) -> Truth:
    parts = _TERM.fullmatch(text)
    if parts is None or parts["field"] not in sent or _EVALUATED.match(parts["value"]):
        return None
    compare = _OPERATORS[parts["operator"]]
    # Most instances ignore case, but not all: where case decides, the answer is not known.
    exact = compare(sent[parts["field"]], parts["value"])
    folded = compare(sent[parts["field"]].casefold(), parts["value"].casefold())
    return exact if exact == folded else None


def _listed(value: str) -> list[str]:
    return [each.strip() for each in value.split(",")]


_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": lambda sent, value: sent == value,
    "!=": lambda sent, value: sent != value,
    "IN": lambda sent, value: sent in _listed(value),
    "NOT IN": lambda sent, value: sent not in _listed(value),
    "LIKE": lambda sent, value: value in sent,
    "CONTAINS": lambda sent, value: value in sent,
    "NOT LIKE": lambda sent, value: value not in sent,
    "NOTLIKE": lambda sent, value: value not in sent,
    "STARTSWITH": lambda sent, value: sent.startswith(value),
    "ENDSWITH": lambda sent, value: sent.endswith(value),
    "ISEMPTY": lambda sent, value: not sent,
    "ISNOTEMPTY": lambda sent, value: bool(sent),
    "ANYTHING": lambda sent, value: True,
}


def _any(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return True if True in seen else None if None in seen else False


def _all(truths: Iterable[Truth]) -> Truth:
    seen = list(truths)
    return False if False in seen else None if None in seen else True
