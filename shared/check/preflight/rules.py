"""What becomes of a ticket's fields, from what the instance shows, refused before, or did with a test ticket. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from shared.check.preflight.model import (
    DataPolicy,
    Fate,
    FieldOutlook,
    SeenField,
    Source,
    Trial,
    TrialOutcome,
)
from shared.connections.columns import Column
from shared.connections.fixed_fields import STANDARD_LABELS
from shared.errors import Failure
from shared.texts import one_line, utf16_length
from shared.tickets.record_texts import lost_characters
from shared.value_object import value_object

MADE_BY_US: Final = frozenset({"sys_id", "correlation_id"})
"""They identify the record, and differ between a test ticket and a real one."""
TEXTS: Final = frozenset({"short_description", "description"})
"""Their values are shown only with the ticket."""
VALUE_MAX_LENGTH: Final = 60
MOST_FIELDS: Final = 60
_ADDED: Final = ("u_", "x_")
"""Names of columns that customers and applications added."""
_NAMING: Final = frozenset({"mandatory_fields_missing", "data_policy_refused"})
"""Codes of refusals whose values name fields."""
_SEEN: Final = frozenset(Fate) - {Fate.NOT_KNOWN}
_LABELS_JOINED: Final = 5
"""A label may contain the separator, at most this often."""


@value_object
class Knowledge:
    """What is known about the tickets of a kind.

    Attributes:
        columns: The instance's columns; None if it does not show them.
        policies: Its data policies; None if the integration user may not read them.
        refusals: Why ServiceNow refused tickets of the kind, newest first.
        trial: The newest test ticket, if it was made with the present settings.
    """

    columns: Mapping[str, Column] | None = None
    policies: Sequence[DataPolicy] | None = None
    refusals: Sequence[Failure] = ()
    trial: Trial | None = None

    def label(self, column: str) -> str:
        """What ServiceNow's forms call a column, or its name."""
        known = (self.columns or {}).get(column)
        return column if known is None else known.label


def outlook(sent: Mapping[str, str], known: Knowledge) -> Sequence[FieldOutlook]:
    """Return what becomes of each field that a ticket sends or should send, the worst first.

    A test ticket made with the present settings is the best source. What it does not show is predicted.
    """
    found: dict[str, FieldOutlook] = {}
    for each in _not_sent(sent, known):
        found.setdefault(each.column or each.label, each)
    for column, value in sent.items():
        if column not in MADE_BY_US:
            foreseen = _foreseen(column, value, known)
            found[column] = _seen(column, known) or _worse(found.get(column), foreseen)
    order = list(Fate)
    return sorted(found.values(), key=lambda each: order.index(each.fate))


def seen_fields(sent: Mapping[str, str], kept: Mapping[str, str], known: Knowledge) -> tuple[SeenField, ...]:
    """Return what became of each field of a test ticket, by reading the record back.

    Args:
        sent: Its fields.
        kept: Those that the integration user sees; nothing is known about a missing one.
    """
    fields = [
        _compared(column, value, kept.get(column), known) for column, value in sent.items() if column not in MADE_BY_US
    ]
    return tuple(fields[:MOST_FIELDS])


def refused_fields(problem: Failure, sent: Mapping[str, str], known: Knowledge) -> tuple[SeenField, ...]:
    """Return the fields that a refusal names, with their columns where the instance shows which ones they are.

    For an instance that shows no columns, ServiceNow's own labels name its own columns.
    """
    labels = STANDARD_LABELS if known.columns is None else _columns_by_label(known.columns)
    fields = []
    for name in names_in(problem, labels):
        columns = labels.get(name.casefold(), ())
        # Where several columns share a label, the one that is missing is meant.
        meant = [column for column in columns if column not in sent] or list(columns)
        fields += [SeenField(column, Fate.REFUSED, name) for column in meant] or [SeenField("", Fate.REFUSED, name)]
    return tuple(fields[:MOST_FIELDS])


def names_in(problem: Failure, labels: Collection[str] = ()) -> Sequence[str]:
    """Return the labels that a refusal names, separated by commas (ServiceNow §2.8).

    Args:
        labels: Known labels, casefolded: a label may contain a comma.
    """
    names = problem.values.get("names") if problem.code in _NAMING else None
    pieces = [piece for piece in str(names or "").split(", ") if piece.strip()]
    found: list[str] = []
    while pieces:
        joined = [", ".join(pieces[:count]) for count in range(min(len(pieces), _LABELS_JOINED), 0, -1)]
        name = next((each for each in joined if each.casefold() in labels), pieces[0])
        found.append(name)
        del pieces[: name.count(", ") + 1]
    return found


def is_proven(known: Knowledge) -> bool:
    """Whether ServiceNow has accepted a ticket with the present settings."""
    return known.trial is not None and known.trial.outcome is TrialOutcome.ACCEPTED


def _seen(column: str, known: Knowledge) -> FieldOutlook | None:
    """Return what a test ticket shows about a field; None if it shows nothing."""
    if known.trial is None:
        return None
    for each in known.trial.fields:
        # A later release may know other fates.
        if each.column == column and each.fate in _SEEN:
            return _outlook_of(each, known, is_sent=True)
    return None


def _outlook_of(seen: SeenField, known: Knowledge, *, is_sent: bool) -> FieldOutlook:
    return FieldOutlook(
        column=seen.column,
        label=seen.label or known.label(seen.column),
        fate=seen.fate,
        source=Source.TEST_TICKET,
        is_sent=is_sent,
        limit=seen.limit,
        value=seen.value,
    )


def _foreseen(column: str, value: str, known: Knowledge) -> FieldOutlook:
    """Return what will become of a field that is sent."""
    fate, limit = _by_column(column, value, known.columns)
    if not is_proven(known):
        for policy in known.policies or ():
            wants = column in policy.read_only or (column in policy.mandatory and fate is Fate.NOT_A_CHOICE)
            if wants and policy.applies is not False:
                return _by_policy(column, policy, known, is_sent=True)
    shown = value if fate is Fate.NOT_A_CHOICE else ""
    return FieldOutlook(column, known.label(column), fate, Source.COLUMNS, limit=limit, value=_short(column, shown))


def _by_column(column: str, value: str, columns: Mapping[str, Column] | None) -> tuple[Fate, int | None]:
    if not columns:
        return Fate.NOT_KNOWN, None
    known = columns.get(column)
    if known is None:
        # Every instance has the columns of ServiceNow itself, whether it shows them or not.
        return Fate.NO_COLUMN if column.startswith(_ADDED) else Fate.NOT_KNOWN, None
    if known.read_only:
        return Fate.READ_ONLY, None
    if known.choices is not None and all(choice.value != value for choice in known.choices):
        return Fate.NOT_A_CHOICE, None
    if known.max_length is not None and known.reference is None and utf16_length(value) > known.max_length:
        return Fate.SHORTENED, known.max_length
    return Fate.FINE, None


def _not_sent(sent: Mapping[str, str], known: Knowledge) -> Iterable[FieldOutlook]:
    """Yield the fields that ServiceNow wants and the ticket does not send."""
    trial = known.trial
    if trial is not None:
        yield from (_outlook_of(each, known, is_sent=each.column in sent) for each in trial.refused)
    if not is_proven(known):
        for policy in known.policies or ():
            if policy.applies is not False:
                for column in policy.mandatory:
                    if column not in sent:
                        yield _by_policy(column, policy, known, is_sent=False)
        for problem in known.refusals:
            for each in refused_fields(problem, sent, known):
                # A field that is now sent was added because of the refusal, unless it must not be sent.
                if each.column not in sent or problem.code == "data_policy_refused":
                    yield FieldOutlook(
                        each.column, each.label, Fate.REFUSED, Source.PAST_TICKET, is_sent=each.column in sent
                    )
    for described in (known.columns or {}).values():
        if described.mandatory and described.name not in sent and not described.read_only:
            yield FieldOutlook(described.name, described.label, Fate.FORMS_ONLY, Source.COLUMNS, is_sent=False)


def _by_policy(column: str, policy: DataPolicy, known: Knowledge, *, is_sent: bool) -> FieldOutlook:
    return FieldOutlook(
        column,
        known.label(column),
        Fate.REFUSED if policy.applies else Fate.MAY_BE_REFUSED,
        Source.POLICY,
        is_sent=is_sent,
        policy=policy.name,
    )


def _worse(one: FieldOutlook | None, other: FieldOutlook) -> FieldOutlook:
    order = list(Fate)
    return other if one is None or order.index(other.fate) < order.index(one.fate) else one


def _compared(column: str, sent: str, kept: str | None, known: Knowledge) -> SeenField:
    label = known.label(column)
    if kept is None:
        return SeenField(column, Fate.NOT_KNOWN, label)
    is_text = column in TEXTS or _is_text((known.columns or {}).get(column))
    if kept == sent or (is_text and not lost_characters(sent, kept)):
        return SeenField(column, Fate.FINE, label)
    if not kept.strip():
        return SeenField(column, Fate.DROPPED, label, value=_short(column, sent))
    if is_text and sent.startswith(kept.rstrip()):
        return SeenField(column, Fate.SHORTENED, label, limit=utf16_length(kept))
    return SeenField(column, Fate.CHANGED, label, value=_short(column, kept))


def _is_text(column: Column | None) -> bool:
    return column is not None and column.type == "string" and column.reference is None and column.choices is None


def _columns_by_label(columns: Mapping[str, Column]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for column in columns.values():
        found.setdefault(column.label.casefold(), []).append(column.name)
    return found


def _short(column: str, value: str) -> str:
    return "" if column in TEXTS else one_line(value, VALUE_MAX_LENGTH)
