"""Importing a file of recommendations into a tenant: the page and the operation of the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from shared.errors import FixRequest
from shared.recommendations.files.formats import MAX_FILE_BYTES, FileFormat
from shared.recommendations.model import ImprovementAction
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, page, route
from shared.triggers.principal import MANAGERS
from shared.triggers.request_bodies import FormBody
from shared.value_object import value_object
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language

if TYPE_CHECKING:
    from shared.recommendations.files.importing import ImportResult
    from shared.recommendations.files.secure_score_list import ListedAction

blueprint = func.Blueprint()

MAX_SHOWN: Final = 200
"""Most actions of a list on the page; the API gives all."""
_FIELD: Final = "file"
_FORM_BYTES: Final = 16 * 1024
"""What a form needs around the file."""
_BODY: Final = FormBody(max_bytes=MAX_FILE_BYTES + _FORM_BYTES, files=frozenset({_FIELD}))


class ImportedAction(BaseModel):
    """An action that a file is about."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str = Field(description="The action's id within the tenant.")
    title: str


class ImportedMember(BaseModel):
    """A member of an action that the file changed."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="Stable name of the member, such as points or status.")
    before: str = Field(description="Empty: it had no value.")
    after: str


class ImportedChange(ImportedAction):
    """An action that the file changed."""

    members: tuple[ImportedMember, ...]


class ImportedRow(BaseModel):
    """A row of the file that needs somebody's attention."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    row: int = Field(description="As a spreadsheet numbers rows, from 1.")
    title: str
    product: str
    status: str = Field(description="The portal's word.")


class ImportView(BaseModel):
    """What an imported file changed."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    format: FileFormat
    file_at: datetime = Field(description="When it was imported.")
    new: tuple[ImportedAction, ...]
    changed: tuple[ImportedChange, ...]
    unchanged: int = Field(description="How many actions the file only confirmed.")
    missing: tuple[ImportedAction, ...] = Field(
        description="Actions of earlier files that this one could have named but did not. They are kept."
    )
    ambiguous: tuple[ImportedRow, ...] = Field(
        description="Rows that could stand for several actions. They were left out."
    )
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


@value_object
class CellFault:
    """What is wrong with a cell, for people.

    Attributes:
        row: As a spreadsheet numbers rows, from 1.
    """

    sheet: str
    row: str
    column: str
    words: str


@route(
    blueprint,
    "POST",
    "api/tenants/{tenant_id}/import",
    summary="Import a file that somebody exported from Microsoft's portals",
    roles=MANAGERS,
    body=_BODY,
    answers={200: ImportView},
    problems={
        400: ("invalid_form", "invalid_tenant_id"),
        404: ("tenant_not_found",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("file_unreadable", "file_not_recognised", "file_rows_refused"),
    },
)
async def import_file(call: Call) -> JsonAnswer:
    """Answer with what the file changed."""
    return JsonAnswer(ImportView.of(await _import(call)))


@page(blueprint, "GET", "tenants/{tenant_id}/import", roles=MANAGERS)
async def import_form(call: Call) -> func.HttpResponse:
    """Show the form that sends a file."""
    return _form(call, await _known(call))


@page(blueprint, "POST", "tenants/{tenant_id}/import", roles=MANAGERS, body=_BODY)
async def import_save(call: Call) -> func.HttpResponse:
    """Import the file and show what it changed. The result is stored nowhere else, so this answer is the page."""
    tenant = await _known(call)
    try:
        result = await _import(call)
    except FixRequest as error:
        return _form(call, tenant, error)
    return call.page(
        "import_result.html",
        tenant=tenant,
        result=ImportView.of(result),
        shown=partial(member_words, call.language),
        most=MAX_SHOWN,
    )


async def _known(call: Call) -> Tenant:
    return await get_known_tenant(call.application.tenants, call.path_parameter("tenant_id"))


async def _import(call: Call) -> ImportResult:
    file = call.content.files.get(_FIELD)
    content = b"" if file is None else file.content
    return await call.application.file_import.run(call.path_parameter("tenant_id"), content)


def _form(call: Call, tenant: Tenant, error: FixRequest | None = None) -> func.HttpResponse:
    return call.page(
        "import_file.html",
        status=200 if error is None else error.status,
        tenant=tenant,
        words=None if error is None else words_of(error, call.language),
        faults=[] if error is None else cell_faults(error, call.language),
        largest_mib=MAX_FILE_BYTES // 1024 // 1024,
    )


def member_words(t: Language, name: str, value: str) -> str:
    """Return the value of a changed member as people read it."""
    if not value:
        return t("import.no_value")
    if name == "status":
        return t.named("action_status", value)
    return t(f"import.licence.{value}") if name == "licence" else value


def cell_faults(error: FixRequest, t: Language) -> Sequence[CellFault]:
    """Return the faults of a file's cells; their pointers name sheet, row and column."""
    found = []
    for fault in error.values.get("errors", []):
        parts = [part.replace("~1", "/").replace("~0", "~") for part in fault["pointer"].split("/")]
        _, sheet, row, column = parts
        found.append(CellFault(sheet, row, column, fault_words(fault, t)))
    return found
