"""Actions that were in an earlier file but not in the last one of their kind.

A file proves little by what it lacks: whoever exported it may have chosen the rows. So nothing is deleted and no action
is gone; it is shown as "not in the last file".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.recommendations.model import ImprovementAction

type _Scope = tuple[str, str]


def missing_from_last_file(actions: Iterable[ImprovementAction]) -> Sequence[ImprovementAction]:
    """Return the actions of files that a newer file could have named but did not.

    A newer workbook counts if it names another action of the same assessment; a newer list of Secure Score always.
    """
    of_files = [action for action in actions if action.file_at is not None and action.gone_at is None]
    newest: dict[_Scope, datetime] = {}
    for action in of_files:
        for scope in _scopes(action):
            newest[scope] = max(newest.get(scope, _file_at(action)), _file_at(action))
    return [action for action in of_files if any(newest[scope] > _file_at(action) for scope in _scopes(action))]


def _scopes(action: ImprovementAction) -> Sequence[_Scope]:
    """Return what a file has to be about to be expected to name the action."""
    assessments = action.compliance.assessments if action.compliance is not None else ()
    return [(action.source.value, assessment) for assessment in assessments or ("",)]


def _file_at(action: ImprovementAction) -> datetime:
    assert action.file_at is not None, "only actions of files are looked at"
    return action.file_at
