"""What the address of the list of recommendations asks for. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.recommendations.listing import Filters, GroupColumn, SortColumn
from shared.recommendations.model import ActionStatus, SourceName
from shared.recommendations.portal_links import MAX_LENGTH, PortalLink, read_portal_link
from shared.triggers.links import NotUnderstood, misunderstood, read_choice
from shared.value_object import value_object

TENANT: Final = "tenant_id"
FLAGS: Final = ("quick_wins", "hidden")
TEXTS: Final = ("text", "category", "product", "regulation", "owner")
CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "status": ActionStatus,
    "source": SourceName,
    "sort": SortColumn,
    "group": GroupColumn,
}
"""The parameters that take one of a few values."""
GROUPS_OF_WORDS: Final = {
    "status": "action_status",
    "source": "recommendation_source",
    "sort": "sort_column",
    "group": "sort_column",
}
"""Each choice's group of translations."""
ALL_SOURCES: Final = "all"
"""As ``source``: recommendations of every source. Without one, the page shows those of Secure Score if there are any:
points of different sources cannot be compared."""
HAS_TICKET: Final = {"true": True, "false": False}
ASCENDING, DESCENDING = "ascending", "descending"
DEFAULT_SORT: Final = SortColumn.POINTS_TO_GAIN
BIGGEST_FIRST: Final = frozenset({SortColumn.POINTS, SortColumn.POINTS_TO_GAIN, SortColumn.MEASURED_AT})
"""Columns that are in descending order unless somebody asks for the other one."""
LIST_PARAMETERS: Final = (
    TENANT,
    *TEXTS,
    "status",
    "source",
    "has_ticket",
    "min_points",
    *FLAGS,
    "sort",
    "order",
    "group",
)
ACTION_PARAMETERS: Final = ("actionId", "tid", "viewid")
"""Parameters of the Defender portal's own links (Microsoft Graph §7)."""

_POINTS: Final = re.compile(r"[0-9]{1,4}([.,][0-9]{1,2})?", re.ASCII)


@value_object
class RecommendationsLink:
    """What the address of the list asks for.

    Attributes:
        chosen: Every parameter's value by name; empty if unused, as sent if not understood.
    """

    chosen: Mapping[str, str]
    filters: Filters
    sort: SortColumn
    is_descending: bool
    group: GroupColumn | None
    not_understood: tuple[NotUnderstood, ...]


def read_recommendations_link(query: Mapping[str, str], tenant_ids: Collection[str]) -> RecommendationsLink:
    """Read the parameters of the list.

    Args:
        tenant_ids: The existing tenants.
    """
    chosen = {name: query.get(name, "").strip() for name in LIST_PARAMETERS}
    unknown = [
        misunderstood(name, value, "parameter")
        for name, value in query.items()
        if name not in chosen and name not in ACTION_PARAMETERS
    ]
    for name, choices in CHOICES.items():
        if chosen[name] and not (name == "source" and chosen[name].lower() == ALL_SOURCES):
            choice = read_choice(choices, GROUPS_OF_WORDS[name], chosen[name])
            chosen[name] = chosen[name] if choice is None else choice.value
            unknown += [misunderstood(name, chosen[name])] if choice is None else []
    known: Mapping[str, Collection[str]] = {
        TENANT: tenant_ids,
        "has_ticket": HAS_TICKET,
        "order": (ASCENDING, DESCENDING),
        **dict.fromkeys(FLAGS, ("true",)),
    }
    for name, values in known.items():
        if chosen[name] and (plain := chosen[name].lower()) in values:
            chosen[name] = plain
        elif chosen[name]:
            unknown.append(misunderstood(name, chosen[name], "tenant" if name == TENANT else "value"))
    if chosen["min_points"] and not _POINTS.fullmatch(chosen["min_points"]):
        unknown.append(misunderstood("min_points", chosen["min_points"]))
    if unknown:
        return RecommendationsLink(
            chosen, Filters(), DEFAULT_SORT, is_descending=True, group=None, not_understood=tuple(unknown)
        )
    sort = SortColumn(chosen["sort"] or DEFAULT_SORT)
    return RecommendationsLink(
        chosen,
        _filters(chosen),
        sort,
        is_descending=chosen["order"] == DESCENDING if chosen["order"] else sort in BIGGEST_FIRST,
        group=GroupColumn(chosen["group"]) if chosen["group"] else None,
        not_understood=(),
    )


def of_one_source(link: RecommendationsLink, sources: Collection[SourceName]) -> RecommendationsLink:
    """Return the link with Secure Score as its source if it names none and there are several.

    Args:
        sources: The sources of the tenant's recommendations.
    """
    if link.chosen["source"] or len(sources) < 2 or SourceName.SECURE_SCORE not in sources:
        return link
    source = SourceName.SECURE_SCORE
    chosen = {**link.chosen, "source": source.value}
    return replace(link, chosen=chosen, filters=replace(link.filters, source=source))


def asked_action(query: Mapping[str, str]) -> PortalLink | None:
    """Return the improvement action that an address asks for: by its parameters, or by a link in the search field."""
    if control_id := query.get("actionId", "").strip():
        return PortalLink(query.get("tid", "").strip().lower() or None, control_id[:MAX_LENGTH])
    return read_portal_link(query.get("text", ""))


def _filters(chosen: Mapping[str, str]) -> Filters:
    return Filters(
        text=chosen["text"],
        category=chosen["category"],
        product=chosen["product"],
        status=ActionStatus(chosen["status"]) if chosen["status"] else None,
        has_ticket=HAS_TICKET.get(chosen["has_ticket"]),
        min_points=Decimal(chosen["min_points"].replace(",", ".")) if chosen["min_points"] else None,
        is_quick_win=bool(chosen["quick_wins"]),
        source=SourceName(chosen["source"]) if chosen["source"] in set(SourceName) else None,
        regulation=chosen["regulation"],
        owner=chosen["owner"],
        shows_hidden=bool(chosen["hidden"]),
    )
