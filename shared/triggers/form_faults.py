"""What is wrong with a request, as shown in the form that sent it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from shared.errors import FixRequest
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language

_SAYS_MORE: Final[frozenset[str]] = frozenset(
    {"column_reserved", "column_twice", "name_ambiguous", "name_not_found", "not_a_choice", "sys_id_needed"}
)
"""Faults whose own words say more than a form's words for the field."""


class Shown(NamedTuple):
    """How a form shows a fault.

    Attributes:
        field: The field beside which the fault is shown; empty for the top of the form.
        words: Key of the form's own words for it. Without such words, the form shows those of any such fault.
    """

    field: str
    words: str


def fault_texts(
    t: Language,
    error: FixRequest,
    *,
    field_of_code: Mapping[str, str],
    shown: Callable[[Sequence[str]], Shown],
) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name.

    Args:
        field_of_code: The field that an error without a list of faults concerns.
        shown: Returns how to show a fault whose JSON pointer has these parts.
    """
    errors = error.values.get("errors")
    if errors is None:
        return {field_of_code.get(error.code, ""): words_of(error, t).message}
    faults: dict[str, str] = {}
    for fault in errors:
        place = shown(fault["pointer"].strip("/").split("/"))
        own_words = None if fault["code"] in _SAYS_MORE else t.get(place.words)
        faults[place.field] = own_words or fault_words(fault, t)
    return faults
