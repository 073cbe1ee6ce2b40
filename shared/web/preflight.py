"""The words of a pre-flight, in a person's language: what becomes of each field, and what to do about it.

The keys are ``preflight.fate.<fate>`` and ``preflight.fix.<fate>``; a refusal has other words for a field that is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.check.preflight.model import LOSSES, REFUSALS, Fate, FieldOutlook, KindOutlook, TrialOutcome
from shared.connections.fixed_fields import reservation
from shared.connections.model import TicketKind
from shared.value_object import value_object
from shared.words.error_words import ErrorWords, words_of
from shared.words.language import Language

_TONES: Final = {
    "refused": "bad",
    "may_be_refused": "warn",
    "lost": "warn",
    "accepted": "good",
    "foreseen": "",
    "not_known": "",
}
_ABOUT_SETTINGS: Final = REFUSALS | {Fate.NOT_A_CHOICE, Fate.NO_COLUMN, Fate.DROPPED, Fate.FORMS_ONLY}
_USUAL: Final = frozenset({"assignment_group", "category", "caller_id", "requested_by"})
"""Columns with a setting of their own."""
_NOTHING_TO_DO: Final = frozenset({Fate.FINE, Fate.NOT_KNOWN})


@value_object
class FieldWords:
    """What becomes of a field, in words.

    Attributes:
        seen: What happens.
        source: How we know.
        fix: What to do; empty if there is nothing to do.
    """

    field: FieldOutlook
    seen: str
    source: str
    fix: str

    @property
    def refuses(self) -> bool:
        """Whether ServiceNow refuses tickets because of the field."""
        return self.field.fate is Fate.REFUSED

    @property
    def is_about_settings(self) -> bool:
        """Whether a setting of the kind helps."""
        return self.field.fate in _ABOUT_SETTINGS


def field_words(field: FieldOutlook, kind: TicketKind, t: Language) -> FieldWords:
    """Return what becomes of a field of tickets of a kind in the words of a language."""
    variant = f"{field.fate}.sent" if field.fate in REFUSALS and field.is_sent else f"{field.fate}"
    named = field.policy or t("preflight.policy_without_name")
    return FieldWords(
        field=field,
        seen=t(f"preflight.fate.{variant}", value=field.value, limit=field.limit or 0),
        source="" if field.fate is Fate.NOT_KNOWN else t(f"preflight.source.{field.source}", policy=named),
        fix="" if field.fate in _NOTHING_TO_DO else _fix(field, kind, variant, t),
    )


def _fix(field: FieldOutlook, kind: TicketKind, variant: str, t: Language) -> str:
    """Return what to do; a field that the connector fills in itself has a setting of its own."""
    if field.fate is Fate.REFUSED and not field.is_sent:
        if not field.column:
            return t("preflight.fix.refused.unknown_column")
        if (instead := reservation(kind, field.column)) is not None:
            return t("preflight.fix.refused.reserved", instead=t(f"instead.{instead}"))
    return t(f"preflight.fix.{variant}")


def state_of(outlook: KindOutlook) -> str:
    """Return what is known about a kind as one name: the end of ``preflight.state.<name>``."""
    trial = outlook.present_trial
    outcome = None if trial is None else trial.outcome
    if outlook.with_fate({Fate.REFUSED}) or outcome is TrialOutcome.REFUSED:
        return "refused"
    if outlook.with_fate(REFUSALS):
        return "may_be_refused"
    if outlook.with_fate(LOSSES):
        return "lost"
    if outlook.has_delivered or outcome is TrialOutcome.ACCEPTED:
        return "accepted"
    return "foreseen" if outlook.columns_readable else "not_known"


def tone_of(outlook: KindOutlook) -> str:
    """Return the class of the style sheet for what is known about a kind."""
    return _TONES[state_of(outlook)]


def troubles(outlook: KindOutlook, t: Language) -> Sequence[FieldWords]:
    """Return the fields that need a look, in words, the worst first."""
    return [field_words(each, outlook.kind, t) for each in outlook.fields if each.fate not in _NOTHING_TO_DO]


@value_object
class KindCard:
    """What is known about one kind.

    Attributes:
        state: The end of ``preflight.state.<name>``.
        troubles: The fields that need a look.
        fine: The labels of those that need none.
        problem: Why the test ticket was not created.
    """

    outlook: KindOutlook
    state: str
    tone: str
    troubles: Sequence[FieldWords]
    fine: Sequence[str]
    problem: ErrorWords | None

    @property
    def test_ticket(self) -> str:
        """What became of the test ticket, as the end of ``preflight.test_ticket.<name>``."""
        trial = self.outlook.trial
        if trial is None:
            return "none"
        if trial.is_left_open:
            return "left_open"
        # A later release may know other outcomes.
        return trial.outcome if trial.outcome in set(TrialOutcome) else TrialOutcome.UNKNOWN

    @property
    def settings(self) -> str:
        """The part of the configuration page that helps, without the kind: further fields, or the usual ones."""
        further = [each for each in self.troubles if each.is_about_settings and each.field.column not in _USUAL]
        return "fixed" if further else "kind"

    @property
    def is_about_settings(self) -> bool:
        """Whether a setting of the kind helps with a field."""
        return any(each.is_about_settings for each in self.troubles)


def kind_card(outlook: KindOutlook, t: Language) -> KindCard:
    """Return what is known about a kind in the words of a language."""
    problem = None if outlook.trial is None else outlook.trial.problem
    return KindCard(
        outlook=outlook,
        state=state_of(outlook),
        tone=tone_of(outlook),
        troubles=troubles(outlook, t),
        fine=[each.label for each in outlook.fields if each.fate is Fate.FINE],
        problem=None if problem is None else words_of(problem, t),
    )
