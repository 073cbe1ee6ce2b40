"""What a page calls the state of a ticket's record."""

from __future__ import annotations

from shared.words.language import FALLBACK, Language, languages


def state_words(phase: str, state_name: str | None, t: Language) -> str:
    """Return the words for a state.

    A name that says no more than the phase does, as ServiceNow's "In Progress", is shown in the reader's language. A
    name of the instance's or the connection's own is shown as it is.

    Args:
        phase: As stored; another release may have written one that has no name here.
        state_name: The state's name for people; None or empty if there is none.
    """
    key = f"phase.{phase}"
    usual = languages()[FALLBACK].get(key)
    says_no_more = usual is not None and (not state_name or state_name.lower() == usual.lower())
    return t(key) if says_no_more or phase == "deleted" else state_name or phase
