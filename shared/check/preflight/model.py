"""What is known about the fields of a kind's tickets before the first one is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.connections.model import TicketKind
from shared.errors import Failure
from shared.value_object import value_object


class Fate(StrEnum):
    """What becomes of a field when a ticket is created, the worst first."""

    REFUSED = "refused"
    """ServiceNow refuses the ticket because of it."""
    MAY_BE_REFUSED = "may_be_refused"
    """A data policy requires it under conditions that cannot be foreseen."""
    NOT_A_CHOICE = "not_a_choice"
    NO_COLUMN = "no_column"
    READ_ONLY = "read_only"
    DROPPED = "dropped"
    """ServiceNow did not keep the value."""
    CHANGED = "changed"
    """ServiceNow has a value other than the one sent: a rule of the instance set it."""
    SHORTENED = "shortened"
    NOT_KNOWN = "not_known"
    FORMS_ONLY = "forms_only"
    """Forms insist on it, the API does not (ServiceNow §13)."""
    FINE = "fine"


REFUSALS: Final = frozenset({Fate.REFUSED, Fate.MAY_BE_REFUSED})
LOSSES: Final = frozenset(
    {Fate.NOT_A_CHOICE, Fate.NO_COLUMN, Fate.READ_ONLY, Fate.DROPPED, Fate.CHANGED, Fate.SHORTENED}
)


class Source(StrEnum):
    """How we know what becomes of a field."""

    COLUMNS = "columns"
    POLICY = "policy"
    """A data policy that the integration user may read."""
    PAST_TICKET = "past_ticket"
    """ServiceNow refused a ticket because of it."""
    TEST_TICKET = "test_ticket"


@value_object
class FieldOutlook:
    """What becomes of one field.

    Attributes:
        column: Its name; empty if a refusal named a label that no column has.
        label: What ServiceNow's forms call it.
        is_sent: Whether a ticket gives it a value.
        limit: Characters that ServiceNow keeps, if it shortens the value.
        value: The value in question, shortened; empty for texts and where it does not matter.
        policy: Name of the data policy.
    """

    column: str
    label: str
    fate: Fate
    source: Source
    is_sent: bool = True
    limit: int | None = None
    value: str = ""
    policy: str = ""


@value_object
class DataPolicy:
    """A data policy of the kind's table, as far as it can be foreseen (ServiceNow §13).

    Attributes:
        applies: Whether it applies to the ticket; None if that cannot be foreseen.
        mandatory: Columns that it requires, once the condition is taken into account.
        read_only: Columns that it protects.
    """

    name: str
    applies: bool | None
    mandatory: Collection[str] = ()
    read_only: Collection[str] = ()


class TrialOutcome(StrEnum):
    """What became of a test ticket."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """ServiceNow does not accept its values."""
    FAILED = "failed"
    """It could not be created for a reason that says nothing about its values."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was created."""


@value_object
class SeenField:
    """A field of a test ticket, as ServiceNow showed it; members as for :class:`FieldOutlook`."""

    column: str
    fate: Fate
    label: str = ""
    limit: int | None = None
    value: str = ""


@value_object
class LeftBehind:
    """A test ticket that may still be open.

    Attributes:
        sys_id: The id that it was to have.
        instance: Where it was to be created.
        number: ServiceNow's number; empty if nobody knows whether it was created.
    """

    sys_id: str
    tried_at: datetime
    instance: str = ""
    number: str = ""

    @property
    def name(self) -> str:
        """What to look for in ServiceNow."""
        return self.number or f"sys_id {self.sys_id}"


@value_object
class Trial:
    """The newest test ticket of a kind. It is stored before it is created, with an unknown outcome.

    Attributes:
        settings: A fingerprint of the settings that it was made with.
        number: ServiceNow's number; empty if it was not created.
        sys_id: The id that it was to have.
        instance: Where it was to be created; empty if a release that did not store it wrote the row.
        is_canceled: Whether it is certainly closed again.
        problem: Why it was not created.
        left_behind: Earlier ones that may still be open, the newest first.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
    """

    kind: TicketKind
    tried_at: datetime
    settings: str
    outcome: TrialOutcome
    number: str = ""
    sys_id: str = ""
    instance: str = ""
    is_canceled: bool = False
    problem: Failure | None = None
    fields: tuple[SeenField, ...] = ()
    left_behind: tuple[LeftBehind, ...] = ()
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_left_open(self) -> bool:
        """Whether somebody has to cancel it in ServiceNow."""
        return bool(self.number) and not self.is_canceled

    @property
    def may_be_open(self) -> Sequence[LeftBehind]:
        """Every test ticket that may still be open, the newest first."""
        if self.is_canceled or self.outcome in {TrialOutcome.REFUSED, TrialOutcome.FAILED} or not self.sys_id:
            return self.left_behind
        return LeftBehind(self.sys_id, self.tried_at, self.instance, self.number), *self.left_behind

    @property
    def refused(self) -> Sequence[SeenField]:
        """The fields for which it was refused, as far as ServiceNow named them."""
        return [each for each in self.fields if each.fate is Fate.REFUSED]


@value_object
class KindOutlook:
    """What is known about the tickets of one kind.

    Attributes:
        fields: The worst first; empty if nobody knows anything.
        trial: The newest test ticket, or None.
        is_trial_older: Whether the settings of the kind have changed since.
        columns_readable: Whether the instance shows its columns.
        policies_readable: Whether the integration user may read data policies.
        has_delivered: Whether tickets of the kind have been delivered.
    """

    kind: TicketKind
    fields: Sequence[FieldOutlook]
    trial: Trial | None
    is_trial_older: bool
    columns_readable: bool
    policies_readable: bool
    has_delivered: bool

    @property
    def present_trial(self) -> Trial | None:
        """The test ticket, if it was made with the present settings."""
        return None if self.is_trial_older else self.trial

    def with_fate(self, fates: Collection[Fate]) -> Sequence[FieldOutlook]:
        """Return the fields that have one of these fates."""
        return [each for each in self.fields if each.fate in fates]


class Hint(StrEnum):
    """What to say before the first ticket of a kind is sent."""

    REFUSED = "refused"
    UNTRIED = "untried"
    OLDER = "older"
    """The test ticket was made with other settings."""


@value_object
class TicketHint:
    """What somebody who is about to send the first ticket of a kind should know.

    Attributes:
        names: The fields that ServiceNow refuses tickets for, with their columns where they are known.
    """

    kind: TicketKind
    hint: Hint
    names: Sequence[str] = ()
