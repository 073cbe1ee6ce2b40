"""What the API says about a pre-flight."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from shared.check.preflight.model import Fate, KindOutlook, Source, Trial, TrialOutcome
from shared.connections.model import Connection, TicketKind
from shared.web.preflight import FieldWords, field_words
from shared.words.error_words import words_of
from shared.words.language import Language


class FieldOutlookView(BaseModel):
    """What becomes of one field."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    column: str = Field(description="Its name; empty if ServiceNow named a label that no column has.")
    label: str
    outcome: Fate = Field(description="Stable name of what happens.")
    source: Source = Field(description="How the connector knows.")
    is_sent: bool = Field(description="Whether a ticket gives it a value.")
    limit: int | None = Field(description="Characters that ServiceNow keeps of a shortened value.")
    seen: str = Field(description="What happens.")
    fix: str | None = Field(description="What to do.")


class TestTicketView(BaseModel):
    """The newest test ticket of a kind."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    tried_at: datetime
    outcome: TrialOutcome = Field(description="unknown: nobody knows whether it was created.")
    number: str | None
    left_open: bool = Field(description="It was created and could not be canceled; cancel it in ServiceNow.")
    left_behind: tuple[str, ...] = Field(description="Earlier ones that may still be open, by number or sys_id.")
    older_settings: bool = Field(description="The settings of the kind have changed since.")
    problem: str | None = Field(description="Why it was not created.")


class KindPreflightView(BaseModel):
    """What is known about the tickets of one kind."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: TicketKind
    fields: tuple[FieldOutlookView, ...] = Field(description="The worst first.")
    test_ticket: TestTicketView | None
    columns_readable: bool = Field(description="Whether the instance shows its columns to the integration user.")
    policies_readable: bool = Field(description="Whether the integration user may read data policies.")
    has_delivered: bool = Field(description="Whether tickets of this kind have been delivered.")


class PreflightView(BaseModel):
    """What ServiceNow will do with the fields of new tickets."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    connection_id: str
    kinds: tuple[KindPreflightView, ...]

    @classmethod
    def of(cls, connection: Connection, outlooks: Sequence[KindOutlook], t: Language) -> Self:
        """Return outlooks in the words of a language."""
        return cls(
            connection_id=connection.connection_id,
            kinds=tuple(
                KindPreflightView(
                    kind=each.kind,
                    fields=tuple(_field_view(field_words(one, each.kind, t)) for one in each.fields),
                    test_ticket=None if each.trial is None else _test_ticket_view(each.trial, each.is_trial_older, t),
                    columns_readable=each.columns_readable,
                    policies_readable=each.policies_readable,
                    has_delivered=each.has_delivered,
                )
                for each in outlooks
            ),
        )


def _field_view(words: FieldWords) -> FieldOutlookView:
    field = words.field
    return FieldOutlookView(
        column=field.column,
        label=field.label,
        outcome=field.fate,
        source=field.source,
        is_sent=field.is_sent,
        limit=field.limit,
        seen=words.seen,
        fix=words.fix or None,
    )


def _test_ticket_view(trial: Trial, is_older: bool, t: Language) -> TestTicketView:
    return TestTicketView(
        tried_at=trial.tried_at,
        outcome=trial.outcome,
        number=trial.number or None,
        left_open=trial.is_left_open,
        left_behind=tuple(each.name for each in trial.left_behind),
        older_settings=is_older,
        problem=None if trial.problem is None else words_of(trial.problem, t).message,
    )
