"""What callers of the API see of an imported file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import Field

from shared.recommendations.files.formats import FileFormat
from shared.recommendations.files.importing import ImportResult
from shared.recommendations.files.secure_score_list import ListedAction
from shared.recommendations.model import ImprovementAction
from shared.views import View


class ImportedAction(View):
    """An action that a file is about."""

    id: str = Field(description="The action's id within the tenant.")
    title: str


class ImportedMember(View):
    """A member of an action that the file changed."""

    name: str = Field(description="Stable name of the member, such as points or status.")
    before: str = Field(description="Empty: it had no value.")
    after: str


class ImportedChange(ImportedAction):
    """An action that the file changed."""

    members: tuple[ImportedMember, ...]


class ImportedRow(View):
    """A row of the file that needs somebody's attention."""

    row: int = Field(description="As a spreadsheet numbers rows, from 1.")
    title: str
    product: str
    status: str = Field(description="The portal's word.")


class ImportView(View):
    """What an imported file changed."""

    format: FileFormat
    file_at: datetime = Field(description="When it was imported.")
    new: tuple[ImportedAction, ...]
    changed: tuple[ImportedChange, ...]
    unchanged: int = Field(description="How many actions the file only confirmed.")
    missing: tuple[ImportedAction, ...] = Field(
        description="Actions of earlier files that this one could have named but did not. They are kept."
    )
    ambiguous: tuple[ImportedRow, ...] = Field(description="Rows that could mean several actions. They were left out.")
    unknown_statuses: tuple[ImportedRow, ...] = Field(
        description="Rows with a status that is not known. Everything else of them was taken."
    )

    @classmethod
    def of(cls, result: ImportResult) -> Self:
        """Return the view of a result."""
        return cls(
            format=result.format,
            file_at=result.file_at,
            new=_actions(result.new),
            changed=tuple(
                ImportedChange(
                    id=each.action.key,
                    title=each.action.title,
                    members=tuple(
                        ImportedMember(name=member.name, before=member.before, after=member.after)
                        for member in each.members
                    ),
                )
                for each in result.changed
            ),
            unchanged=result.unchanged,
            missing=_actions(result.missing),
            ambiguous=_rows(result.ambiguous),
            unknown_statuses=_rows(result.unknown_statuses),
        )


def _actions(actions: Sequence[ImprovementAction]) -> tuple[ImportedAction, ...]:
    return tuple(ImportedAction(id=action.key, title=action.title) for action in actions)


def _rows(rows: Sequence[ListedAction]) -> tuple[ImportedRow, ...]:
    return tuple(ImportedRow(row=row.row, title=row.title, product=row.product, status=row.status_word) for row in rows)
