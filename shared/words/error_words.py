"""The words of errors: from a code and its values to sentences in a language.

The keys are ``error.<code>.message`` and ``error.<code>.next_step``; a variant of a code has its own where it means
something else: ``error.<code>.<variant>.message``. ``{reason}`` and ``{remedy}`` stand for the words of the error
behind it. A text is skipped if one of its values is missing: release 0.1 stored none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from shared.errors import ConnectorError, Failure, Fault
from shared.value_object import value_object
from shared.words.language import Language

_BLANKS: Final = re.compile(r"[^\S\u00a0]+")
"""Blanks where an empty value leaves two; a number and its counter keep theirs."""
_NAMED: Final = {"kind": "kind", "kinds": "kind", "portal": "portal"}
"""Values that have names in every language, with the group of their names."""


@value_object
class ErrorWords:
    """What a person reads about an error.

    Attributes:
        message: What happened and what was kept.
        next_step: What to do next; empty when there is nothing to do.
    """

    message: str
    next_step: str


def words_of(error: ConnectorError | Failure, t: Language) -> ErrorWords:
    """Return an error in the words of a language; if another release wrote its code, in the words stored with it."""
    failure = error.failure if isinstance(error, ConnectorError) else error
    values = failure.values or _names_in(failure.message)
    message = _part(failure.code, "message", values, t)
    if message is None:
        message = failure.message or t("error.other", code=failure.code)
    next_step = _part(failure.code, "next_step", values, t)
    return ErrorWords(message, failure.next_step if next_step is None else next_step)


def fault_words(fault: Fault, t: Language) -> str:
    """Return what is wrong with a value of a request's body."""
    values = {
        name: t.named("instead", str(value)) if name == "instead" else value for name, value in fault["values"].items()
    }
    return t.filled(f"fault.code.{fault['code']}", values) or t("fault.code.other")


def _part(code: str, part: str, values: Mapping[str, object], t: Language) -> str | None:
    """Return the message or the next step of a code; None if the language has none that these values can fill."""
    shown = _shown(values, t)
    keys = [f"error.{code}.{part}"]
    if variant := values.get("variant"):
        keys.insert(0, f"error.{code}.{variant}.{part}")
    texts = (t.filled(key, shown) for key in keys)
    text = next((each for each in texts if each is not None), None)
    return text if text is None else type(text)(_BLANKS.sub(" ", text).strip())


def _shown(values: Mapping[str, object], t: Language) -> Mapping[str, object]:
    """Return the values as a text shows them."""
    shown: dict[str, object] = {"reason": "", "remedy": ""}
    for name, value in values.items():
        each = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
        group = _NAMED.get(name)
        shown[name] = (
            value
            if not isinstance(value, Sequence)
            else ", ".join(t.named(group, str(one)) if group else str(one) for one in each)
        )
    if reason := values.get("reason"):
        behind = {name: value for name, value in values.items() if name != "reason"}
        shown["reason"] = _part(str(reason), "message", behind, t) or ""
        shown["remedy"] = _part(str(reason), "next_step", behind, t) or ""
    return shown


def _names_in(message: str) -> Mapping[str, object]:
    """Return the names in a sentence that release 0.1 stored: it put them after a colon and stored no values."""
    _, colon, names = message.partition(": ")
    return {"variant": "named", "names": names.rstrip(".").strip('"')} if colon and names else {}
