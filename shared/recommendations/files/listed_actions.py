"""From the rows of an exported Secure Score list to improvement actions (Microsoft Graph §1.9).

The list has no control ids, titles are not unique, and Microsoft changes their wording. So a row is taken for a control
that we know only if there is no other possibility; any other row becomes an action of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.recommendations.files.portal_words import are_different_products, product_key
from shared.recommendations.files.secure_score_list import ListedAction
from shared.recommendations.files.tables import folded
from shared.recommendations.model import OF_FILE, ActionStatus, Disposition, ImprovementAction, SourceName
from shared.recommendations.ports import Reading
from shared.value_object import value_object

ACTIONS_PAGE: Final = "https://security.microsoft.com/securescore?viewid=actions"
"""The list in the portal; the file does not say which of its entries an action is (Microsoft Graph §7)."""
_DISPOSITIONS: Final[Mapping[ActionStatus, Disposition]] = {
    ActionStatus.PLANNED: Disposition.PLANNED,
    ActionStatus.RISK_ACCEPTED: Disposition.IGNORED,
    ActionStatus.THIRD_PARTY: Disposition.THIRD_PARTY,
    ActionStatus.ALTERNATE_MITIGATION: Disposition.REVIEWED,
}


@value_object
class ReadList:
    """What a list said.

    Attributes:
        ambiguous: Rows that could stand for several actions, so they were left out.
        unknown_statuses: Rows whose status we do not know; everything else of them was taken.
    """

    reading: Reading
    ambiguous: Sequence[ListedAction] = ()
    unknown_statuses: Sequence[ListedAction] = ()


def reading_of_list(
    rows: Sequence[ListedAction], stored: Iterable[ImprovementAction], tenant_id: str, file_at: datetime
) -> ReadList:
    """Return the improvement actions of a list, matched with those that are stored for the tenant.

    Args:
        stored: The tenant's actions of every source.
        file_at: When the file was exported or uploaded.
    """
    known = _KnownActions(stored)
    of_title = Counter(folded(row.title) for row in rows)
    of_product = Counter((folded(row.title), product_key(row.product)) for row in rows)
    actions: list[ImprovementAction] = []
    ambiguous: list[ListedAction] = []
    for row in rows:
        title = folded(row.title)
        possible = known.possible(row, is_only_row=of_title[title] == 1)
        if len(possible) > 1 or of_product[title, product_key(row.product)] > 1:
            ambiguous.append(row)
        else:
            actions.append(_updated(possible[0] if possible else _new(row, tenant_id), row, file_at))
    return ReadList(
        Reading(SourceName.SECURE_SCORE, is_complete=False, actions=actions),
        ambiguous,
        [row for row in rows if row.status is None],
    )


class _KnownActions:
    """Secure Score's controls that are stored, by title."""

    def __init__(self, stored: Iterable[ImprovementAction]) -> None:
        self._by_title: defaultdict[str, list[ImprovementAction]] = defaultdict(list)
        self._of_files: dict[str, ImprovementAction] = {}
        for action in stored:
            if action.source is not SourceName.SECURE_SCORE or action.gone_at is not None:
                continue
            if action.is_of_file:
                self._of_files[action.source_id] = action
            else:
                self._by_title[folded(action.title)].append(action)

    def possible(self, row: ListedAction, *, is_only_row: bool) -> Sequence[ImprovementAction]:
        """Return the stored actions that a row can stand for.

        Args:
            is_only_row: No other row of the file has this title.
        """
        same_title = self._by_title.get(folded(row.title), [])
        same_product = [each for each in same_title if product_key(each.service) == product_key(row.product)]
        if same_product:
            return same_product
        others = [each for each in same_title if not are_different_products(row.product, each.service)]
        if others:
            # The products do not distinguish the rows, so each of them can stand for the same action.
            return others if is_only_row else [*others, *others]
        own = self._of_files.get(_source_id(row))
        return [] if own is None else [own]


def _source_id(row: ListedAction) -> str:
    """Return the same id for the same title and product, whatever the case and punctuation."""
    return f"{OF_FILE}{folded(row.title)}:{product_key(row.product)}"


def _new(row: ListedAction, tenant_id: str) -> ImprovementAction:
    return ImprovementAction(
        tenant_id=tenant_id,
        source=SourceName.SECURE_SCORE,
        source_id=_source_id(row),
        title=row.title,
        link=ACTIONS_PAGE,
    )


def _updated(before: ImprovementAction, row: ListedAction, file_at: datetime) -> ImprovementAction:
    """Return an action with what a row says; what the row leaves open stays as it is."""
    if before.is_of_file:
        before = replace(before, title=row.title, category=row.category, service=row.product)
    status = before.disposition if row.status is None else _DISPOSITIONS.get(row.status, Disposition.DEFAULT)
    return replace(
        before,
        rank=before.rank if row.rank is None else row.rank,
        points=before.points if row.points is None else row.points,
        max_points=before.max_points if row.max_points is None else row.max_points,
        has_licence=before.has_licence if row.has_licence is None else row.has_licence,
        disposition=status,
        file_at=file_at,
    )
