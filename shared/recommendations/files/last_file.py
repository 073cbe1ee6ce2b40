"""Actions that were in an earlier file but not in the last one of their kind.

A file proves little by what it lacks: whoever exported it may have chosen the rows. So nothing is deleted and no action
is gone; it is shown as "not in the last file".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from shared.clock import believed
from shared.recommendations.model import ImprovementAction

type _Scope = tuple[str, str]

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def missing_from_last_file(actions: Iterable[ImprovementAction], now: datetime) -> Sequence[ImprovementAction]:
    """Return the actions of files that a newer file could have named but did not.

    A newer workbook counts if it names another action of the same assessment; a newer list of Secure Score always. A
    file with a time that has not come yet, because of a wrong clock, is older than all others.
    """
    of_files = [(action, _file_at(action, now)) for action in actions if action.file_at and action.gone_at is None]
    newest: dict[_Scope, datetime] = {}
    for action, file_at in of_files:
        for scope in _scopes(action):
            newest[scope] = max(newest.get(scope, file_at), file_at)
    return [action for action, file_at in of_files if any(newest[scope] > file_at for scope in _scopes(action))]


def _scopes(action: ImprovementAction) -> Sequence[_Scope]:
    """Return what a file has to be about to be expected to name the action."""
    assessments = action.compliance.assessments if action.compliance is not None else ()
    return [(action.source.value, assessment) for assessment in assessments or ("",)]


def _file_at(action: ImprovementAction, now: datetime) -> datetime:
    return believed(action.file_at, now) or _LONG_AGO
