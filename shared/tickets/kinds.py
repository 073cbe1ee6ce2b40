"""The kinds of ticket: each one's table in ServiceNow, and the names that a link may use for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from shared.connections.model import TicketKind
from shared.value_object import value_object

type TicketTable = Literal["incident", "change_request"]


@value_object
class Kind:
    """A kind of ticket.

    Attributes:
        table: Its table in ServiceNow.
        link_names: Names that a link may use for it, besides the kind's own.
        not_done_codes: Close codes of new and old instances that claim no fix (ServiceNow §5.4, §5.6).
        can_be_reopened: Whether ServiceNow lets a resolved record go back to work.
    """

    table: TicketTable
    link_names: tuple[str, ...]
    not_done_codes: tuple[str, ...]
    can_be_reopened: bool


KINDS: Final[Mapping[TicketKind, Kind]] = {
    TicketKind.INCIDENT: Kind(
        "incident",
        ("incidents", "inc"),
        not_done_codes=(
            "No resolution provided",
            "Duplicate",
            "Known error",
            "User error",
            "Not Solved (Not Reproducible)",
            "Not Solved (Too Costly)",
        ),
        can_be_reopened=True,
    ),
    TicketKind.CHANGE: Kind(
        "change_request",
        ("change_request", "change_requests", "changes", "chg"),
        not_done_codes=("unsuccessful",),
        can_be_reopened=False,
    ),
}


def table_of(kind: TicketKind) -> str:
    """Return the table of a kind, or an empty string for a kind that only another release knows."""
    return KINDS[kind].table if kind in KINDS else ""
