"""What a link's parameters ask for, and what a page does not understand of them. Pure.

Links are written by portals, scripts and people. A choice may have any of its names. The page says what it does not
understand, since a value that is silently ignored looks as if it had been accepted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode

from shared.connections.model import Portal, TicketKind
from shared.tickets.kinds import KINDS
from shared.tickets.lists import Order, Show, SortColumn
from shared.tickets.model import Phase, Priority, RecommendationCategory, RecommendedBy
from shared.tickets.outcomes import Outcome
from shared.value_object import value_object
from shared.words.language import Language, languages

SHOWN_MAX_LENGTH: Final = 100
"""How much of an unknown value a page repeats."""

TICKET_CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "kind": TicketKind,
    "portal": Portal,
    "priority": Priority,
    "source": RecommendedBy,
    "category": RecommendationCategory,
}
"""The parameters of a new ticket that take one of a few values."""
TICKET_DEFAULTS: Final = {
    "kind": TicketKind.INCIDENT.value,
    "portal": Portal.SECURITY.value,
    "priority": Priority.MODERATE.value,
    "source": RecommendedBy.MICROSOFT.value,
    "category": RecommendationCategory.IDENTITY.value,
}
TICKET_TEXTS: Final = ("name", "description", "link", "recommendation_id", "tenant_id", "recommendation")
"""The parameters of a new ticket that are taken as they are."""
CONNECTION: Final = "connection"
"""The parameter that names a connection; the API's name for it, ``connection_id``, is understood as well."""

ALIASES: Final[Mapping[StrEnum, Collection[str]]] = {
    **{kind: each.link_names for kind, each in KINDS.items()},
    Portal.SECURITY: ("defender", "microsoft_defender", "microsoft_defender_xdr", "microsoft_365_defender"),
    Portal.COMPLIANCE: ("purview", "microsoft_purview", "compliance_manager"),
    Priority.CRITICAL: ("1", "p1"),
    Priority.HIGH: ("2", "p2"),
    Priority.MODERATE: ("3", "p3", "medium"),
    Priority.LOW: ("4", "p4"),
    Priority.PLANNING: ("5", "p5"),
    RecommendedBy.USER: ("users",),
    RecommendedBy.MICROSOFT: ("secure_score", "microsoft_secure_score"),
    RecommendationCategory.DEVICES: ("device", "endpoint", "endpoints"),
    RecommendationCategory.APPS: ("app", "application", "applications"),
    RecommendationCategory.IDENTITY: ("identities", "account", "accounts"),
}
"""Other names of a value: those of ServiceNow, of Microsoft Secure Score and of everyday speech."""


@value_object
class NotUnderstood:
    """A part of a link that the page cannot follow.

    Attributes:
        parameter: Its name.
        value: What the link says, shortened to what a page can show.
        reason: ``value``, ``date``, ``time``, ``parameter``, ``connection``, ``connection_unauthorized``, ``tenant``,
            ``tenant_elsewhere`` or ``recommendation``.
    """

    parameter: str
    value: str
    reason: str = "value"


@value_object
class TicketLink:
    """What a link to the form of a new ticket asks for.

    Attributes:
        values: By field; the default if the link says nothing that is understood.
        given: Names of the fields about which the link says something that is understood.
        connection: The connection that it names; None if it names none.
    """

    values: Mapping[str, str]
    given: frozenset[str]
    connection: str | None
    not_understood: tuple[NotUnderstood, ...]


TICKET_FIELDS: Final = (*TICKET_TEXTS, *TICKET_CHOICES, "due_date", CONNECTION, "connection_id")


def read_ticket_link(query: Mapping[str, str]) -> TicketLink:
    """Read the parameters of a link to the form of a new ticket."""
    values = {name: query.get(name, "") for name in TICKET_TEXTS}
    not_understood = []
    for name, choices in TICKET_CHOICES.items():
        asked = query.get(name, "").strip()
        choice = read_choice(choices, name, asked)
        values[name] = TICKET_DEFAULTS[name] if choice is None else choice.value
        if asked and choice is None:
            not_understood.append(misunderstood(name, asked))
    asked = query.get("due_date", "").strip()
    values["due_date"] = read_day(asked)
    if asked and asked != values["due_date"]:
        not_understood.append(misunderstood("due_date", asked, "time" if values["due_date"] else "date"))
    not_understood += [
        misunderstood(name, value, "parameter") for name, value in query.items() if name not in TICKET_FIELDS
    ]
    connection = (query.get(CONNECTION) or query.get("connection_id") or "").strip().lower()
    unknown = {each.parameter for each in not_understood if each.reason != "time"}
    given = frozenset(name for name in values if query.get(name, "").strip() and name not in unknown)
    return TicketLink(values, given, connection or None, tuple(not_understood))


def read_choice[Choice: StrEnum](choices: type[Choice], field: str, text: str) -> Choice | None:
    """Return the choice that a text names: by its value, its name in any language, or an alias; case does not matter.

    Args:
        field: The choices' group of translations.
    """
    wanted = _plain(text)
    for choice in choices:
        names = {choice.value, *ALIASES.get(choice, ())}
        names |= {t.get(f"{field}.{choice}") or "" for t in languages().values()}
        if wanted and wanted in {_plain(name) for name in names}:
            return choice
    return None


def read_day(text: str) -> str:
    """Return the date of an ISO 8601 date or date-time, all that a date field can show; nothing for any other text."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return ""


def unknown_connection(parameter: str, connection_id: str, *, exists: bool) -> NotUnderstood:
    """Return what to say about a connection on which tickets cannot be created."""
    return misunderstood(parameter, connection_id, "connection_unauthorized" if exists else "connection")


@value_object
class ListLink:
    """What the address of the ticket list asks for.

    Attributes:
        chosen: Every parameter's value by name; empty if unused, as sent if not understood.
    """

    chosen: Mapping[str, str]
    not_understood: tuple[NotUnderstood, ...]


SHOWS: Final = tuple(Show)
"""The parts of the list that ``show`` opens."""
LIST_CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "show": Show,
    "kind": TicketKind,
    "phase": Phase,
    "outcome": Outcome,
    "portal": Portal,
    "priority": Priority,
    "sort": SortColumn,
    "order": Order,
}
GROUPS_OF_WORDS: Final = {
    "show": "filter.show",
    "outcome": "ticket_outcome",
    "sort": "ticket_column",
    "order": "order",
}
"""The choices' groups of translations, where they are not named like the parameter."""
LIST_NAMES: Final = ("assigned_to", "assignment_group")
"""ServiceNow's names for people, or :data:`shared.tickets.ports.NO_NAME`."""
LIST_TEXTS: Final = ("text", *LIST_NAMES)
LIST_DAYS: Final = ("opened_from", "opened_to", "closed_from", "closed_to")
"""Days in UTC, the first and the last one that are shown."""
LIST_COUNTS: Final = ("age_from", "age_to", "proof_days_from", "proof_days_to")
"""Whole days, the fewest and the most that are shown."""
LIST_PLACE: Final = ("sort", "order", "page")
"""The parameters that say in which order the list is and where in it; the others are filters."""
LIST_FILTERS: Final = (
    *LIST_TEXTS,
    *(name for name in LIST_CHOICES if name not in LIST_PLACE),
    *LIST_DAYS,
    *LIST_COUNTS,
    CONNECTION,
)
LIST_PARAMETERS: Final = (*LIST_FILTERS, *LIST_PLACE)

PAGE_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


def list_address(path: str = "/tickets", **chosen: str) -> str:
    """Return the address of the list of tickets, or of what it exports, with these parameters; empty ones are left out.

    Args:
        chosen: Values by the names of ``LIST_PARAMETERS``.
    """
    unknown = chosen.keys() - set(LIST_PARAMETERS)
    if unknown:
        raise ValueError(f"the list has no {', '.join(sorted(unknown))}")
    given = [(name, value) for name in LIST_PARAMETERS if (value := chosen.get(name, ""))]
    return f"{path}?{urlencode(given, quote_via=quote)}" if given else path


def read_list_link(query: Mapping[str, str], connection_ids: Collection[str], others: Collection[str]) -> ListLink:
    """Read the parameters of the list of tickets.

    Args:
        connection_ids: The existing connections.
        others: Names of the page's further parameters.
    """
    chosen = {name: query.get(name, "").strip() for name in LIST_PARAMETERS}
    not_understood = []
    for name, choices in LIST_CHOICES.items():
        if asked := chosen[name]:
            choice = read_choice(choices, GROUPS_OF_WORDS.get(name, name), asked)
            chosen[name] = asked if choice is None else choice.value
            not_understood += [misunderstood(name, asked)] if choice is None else []
    for name in LIST_DAYS:
        if asked := chosen[name]:
            chosen[name] = read_day(asked) or asked
            not_understood += [] if read_day(asked) else [misunderstood(name, asked, "date")]
    for name in LIST_COUNTS:
        if (asked := chosen[name]) and not _COUNT.fullmatch(asked):
            not_understood.append(misunderstood(name, asked))
    if (asked := chosen[CONNECTION]) and (plain := asked.lower()) in connection_ids:
        chosen[CONNECTION] = plain
    elif asked:
        not_understood.append(misunderstood(CONNECTION, asked))
    if chosen["page"] and not PAGE_NUMBER.fullmatch(chosen["page"]):
        not_understood.append(misunderstood("page", chosen["page"]))
    not_understood += [
        misunderstood(name, value, "parameter")
        for name, value in query.items()
        if name not in chosen and name not in others
    ]
    return ListLink(chosen, tuple(not_understood))


def misunderstood(parameter: str, value: str, reason: str = "value") -> NotUnderstood:
    """Return what to say about a part of a link, shortened to what a page can show."""

    def shown(text: str) -> str:
        return text if len(text) <= SHOWN_MAX_LENGTH else f"{text[: SHOWN_MAX_LENGTH - 1]}…"

    return NotUnderstood(shown(parameter), shown(value), reason)


def _plain(text: str) -> str:
    """Return a name without differences in case, width, spaces and punctuation."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", text).casefold()).strip("_")


FILTER_LABELS: Final = {
    "text": "tickets.search",
    "assigned_to": "ticket.assigned_to",
    "assignment_group": "ticket.assignment_group",
    "show": "filter.show",
    "kind": "ticket.kind",
    "phase": "filter.phase",
    "outcome": "filter.outcome",
    "portal": "ticket.portal",
    "priority": "ticket.priority",
    **{name: f"filter.{name}" for name in (*LIST_DAYS, *LIST_COUNTS)},
    "connection": "ticket_column.customer",
}
"""What people call the filters of the list."""
_LABELS: Final = {
    **FILTER_LABELS,
    "source": "ticket.source",
    "category": "ticket.category",
    "due_date": "ticket.due",
    "connection": "ticket.connection",
    "connection_id": "ticket.connection",
    "page": "tickets.page",
    "tenant_id": "recommendations.tenant",
    "weeks": "reports.period",
    "actionId": "ticket.recommendation_id",
    "status": "recommendations.status",
    "has_ticket": "recommendations.ticket",
    "min_points": "recommendations.min_points",
    "quick_wins": "recommendations.quick_wins",
    "hidden": "recommendations.hidden_label",
    "sort": "recommendations.sort",
    "order": "recommendations.order",
    "group": "recommendations.group",
}


def link_words(each: NotUnderstood, t: Language, instead: str = "") -> str:
    """Return a sentence about a part of a link that is not understood.

    Args:
        instead: What the page shows instead; empty if there is nothing to say about it.
    """
    label = t(_LABELS[each.parameter]) if each.parameter in _LABELS else each.parameter
    said = t(f"link.not_understood.{each.reason}", field=label, value=each.value)
    return f"{said} {t('link.instead', shown=instead)}" if instead else said
