"""Lists of improvement actions: filtered, searched, sorted, grouped, and totalled."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import Final

from shared.recommendations.model import ActionStatus, ImprovementAction, Level, SourceName
from shared.recommendations.products import product_name
from shared.recommendations.statuses import hidden_reason, is_quick_win, points_to_gain, status_of
from shared.value_object import value_object

NO_TICKETS: Final[Mapping[str, str]] = {}


@value_object
class Filters:
    """Which improvement actions a list shows; a filter that is empty or None lets all pass.

    Case and width of letters do not matter.

    Attributes:
        text: Words that title, id, product, category, threats or owner contain, all of them.
        product: A product's name or code.
        status: A status that lists hide is shown if it is asked for.
        has_ticket: Whether there is a ticket for it.
        min_points: Points to gain, at least.
        regulation, owner: Only Compliance Manager's actions have them.
        shows_hidden: Whether it shows what :func:`shared.recommendations.statuses.hidden_reason` hides.
    """

    text: str = ""
    category: str = ""
    product: str = ""
    status: ActionStatus | None = None
    has_ticket: bool | None = None
    min_points: Decimal | None = None
    is_quick_win: bool = False
    source: SourceName | None = None
    regulation: str = ""
    owner: str = ""
    shows_hidden: bool = False


class SortColumn(StrEnum):
    """What a list can be sorted by. The impact on the score has the order of the points to gain."""

    RANK = "rank"
    TITLE = "title"
    POINTS = "points"
    POINTS_TO_GAIN = "points_to_gain"
    CATEGORY = "category"
    PRODUCT = "product"
    COST = "cost"
    USER_IMPACT = "user_impact"
    STATUS = "status"
    TICKET = "ticket"
    MEASURED_AT = "measured_at"
    OWNER = "owner"


class GroupColumn(StrEnum):
    """What the actions of a list can be grouped by."""

    CATEGORY = "category"
    PRODUCT = "product"
    STATUS = "status"
    SOURCE = "source"
    TIER = "tier"
    OWNER = "owner"


@value_object
class Totals:
    """What a list amounts to.

    Attributes:
        points_to_gain: Of all actions for which they are known.
    """

    count: int
    points_to_gain: Decimal


@value_object
class Group:
    """Actions of a list that have the same value.

    Attributes:
        value: As first seen; empty for actions without one.
    """

    value: str
    actions: Sequence[ImprovementAction]

    @property
    def totals(self) -> Totals:
        """What the group amounts to."""
        return totals_of(self.actions)


@value_object
class Choices:
    """The values that filters can have, sorted."""

    categories: Sequence[str]
    products: Sequence[str]
    regulations: Sequence[str]
    owners: Sequence[str]


def filtered(
    actions: Iterable[ImprovementAction], filters: Filters, with_ticket: Collection[str]
) -> Sequence[ImprovementAction]:
    """Return the actions that pass all filters, in their order.

    Args:
        with_ticket: Keys of the actions that have a ticket.
    """
    words = _plain(filters.text).split()

    def passes(action: ImprovementAction) -> bool:
        details = action.compliance
        regulations = details.regulations if details is not None else ()
        missing = points_to_gain(action)
        return (
            _is_shown(action, filters)
            and _is(filters.category, action.category)
            and _is(filters.product, action.service, product_name(action.service))
            and (filters.status is None or status_of(action) is filters.status)
            and (filters.has_ticket is None or (action.key in with_ticket) == filters.has_ticket)
            and (filters.min_points is None or (missing is not None and missing >= filters.min_points))
            and (not filters.is_quick_win or is_quick_win(action))
            and (filters.source is None or action.source is filters.source)
            and _is(filters.regulation, *regulations)
            and _is(filters.owner, _owner(action))
            and (not words or all(word in _searched(action) for word in words))
        )

    return [action for action in actions if passes(action)]


def ordered(
    actions: Iterable[ImprovementAction],
    column: SortColumn,
    *,
    is_descending: bool = False,
    tickets: Mapping[str, str] = NO_TICKETS,
) -> Sequence[ImprovementAction]:
    """Return the actions in the order of a column.

    Actions without a value are last in both directions. Equal ones are in the order of rank, title and id.

    Args:
        tickets: By what to sort the actions' tickets, such as their numbers, by the actions' keys.
    """

    def value_of(action: ImprovementAction) -> _Value | None:
        return tickets.get(action.key) if column is SortColumn.TICKET else _SORT_VALUES[column](action)

    pairs = [(value_of(action), action) for action in sorted(actions, key=_default_order)]
    known = sorted((pair for pair in pairs if pair[0] is not None), key=itemgetter(0), reverse=is_descending)
    return [*(action for _, action in known), *(action for value, action in pairs if value is None)]


def grouped(actions: Iterable[ImprovementAction], column: GroupColumn) -> Sequence[Group]:
    """Return the actions by a column's value; groups are sorted by it, those without a value last.

    Groups of a status are in the order of the work: what is left to do is first.
    """
    value_of = _GROUP_VALUES[column]
    shown: dict[str, str] = {}
    groups: dict[str, list[ImprovementAction]] = {}
    for action in actions:
        value = value_of(action).strip()
        shown.setdefault(_plain(value), value)
        groups.setdefault(_plain(value), []).append(action)

    def place(key: str) -> tuple[bool, int, str]:
        return (not key, _STATUSES.index(ActionStatus(key)) if column is GroupColumn.STATUS else 0, key)

    return [Group(shown[key], groups[key]) for key in sorted(groups, key=place)]


def totals_of(actions: Collection[ImprovementAction]) -> Totals:
    """Return the number of actions and their points to gain."""
    return Totals(len(actions), sum(filter(None, map(points_to_gain, actions)), Decimal(0)))


def choices_of(actions: Iterable[ImprovementAction]) -> Choices:
    """Return the values that the filters of a list of these actions can have."""
    listed = list(actions)
    return Choices(
        _distinct(action.category for action in listed),
        _distinct(product_name(action.service) for action in listed),
        _distinct(each for action in listed if action.compliance for each in action.compliance.regulations),
        _distinct(map(_owner, listed)),
    )


def _is_shown(action: ImprovementAction, filters: Filters) -> bool:
    if filters.shows_hidden or filters.status in _HIDDEN_STATUSES:
        return True
    return hidden_reason(action) is None


def _is(wanted: str, *values: str) -> bool:
    """Whether a filter is not used, or one of the values is what it asks for."""
    return not wanted.strip() or _plain(wanted) in map(_plain, values)


def _owner(action: ImprovementAction) -> str:
    return "" if action.compliance is None else action.compliance.assigned_to


def _searched(action: ImprovementAction) -> str:
    product = product_name(action.service)
    return _plain(
        "\n".join((action.title, action.source_id, product, action.category, *action.threats, _owner(action)))
    )


def _plain(text: str) -> str:
    """Return a text without differences of case, width and margin."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _distinct(values: Iterable[str]) -> Sequence[str]:
    """Return the values, each in its first spelling, sorted; empty ones are left out."""
    by_plain: dict[str, str] = {}
    for value in values:
        by_plain.setdefault(_plain(value), value.strip())
    return [by_plain[key] for key in sorted(by_plain) if key]


def _default_order(action: ImprovementAction) -> tuple[bool, int, str, str]:
    return (action.rank is None, action.rank or 0, _plain(action.title), action.key)


def _level(level: Level) -> int | None:
    """Return the place of a level; None for an unknown one, such as another release's."""
    return _LEVELS.index(level) if level in _LEVELS else None


_HIDDEN_STATUSES: Final = frozenset({ActionStatus.GONE, ActionStatus.NOT_MEASURED, ActionStatus.OUT_OF_SCOPE})
_LEVELS: Final = (Level.LOW, Level.MODERATE, Level.HIGH)
_STATUSES: Final = tuple(ActionStatus)

type _Value = Decimal | int | str | datetime
_SORT_VALUES: Final[Mapping[SortColumn, Callable[[ImprovementAction], _Value | None]]] = {
    SortColumn.RANK: lambda action: action.rank,
    SortColumn.TITLE: lambda action: _plain(action.title) or None,
    SortColumn.POINTS: lambda action: action.points,
    SortColumn.POINTS_TO_GAIN: points_to_gain,
    SortColumn.CATEGORY: lambda action: _plain(action.category) or None,
    SortColumn.PRODUCT: lambda action: _plain(product_name(action.service)) or None,
    SortColumn.COST: lambda action: _level(action.implementation_cost),
    SortColumn.USER_IMPACT: lambda action: _level(action.user_impact),
    SortColumn.STATUS: lambda action: _STATUSES.index(status_of(action)),
    SortColumn.MEASURED_AT: lambda action: action.measured_at,
    SortColumn.OWNER: lambda action: _plain(_owner(action)) or None,
}
"""What each column is sorted by, None for an action without a value; tickets are sorted by what the caller says."""
_GROUP_VALUES: Final[Mapping[GroupColumn, Callable[[ImprovementAction], str]]] = {
    GroupColumn.CATEGORY: lambda action: action.category,
    GroupColumn.PRODUCT: lambda action: product_name(action.service),
    GroupColumn.STATUS: lambda action: status_of(action).value,
    GroupColumn.SOURCE: lambda action: action.source.value,
    GroupColumn.TIER: lambda action: action.tier,
    GroupColumn.OWNER: _owner,
}
