"""What is wrong with a request, as shown in the form that sent it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shared.errors import FixRequest
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language


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
        faults[place.field] = t.get(place.words) or fault_words(fault, t)
    return faults
