"""Importing a file of recommendations into a tenant: the page and the operation of the API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import azure.functions as func

from shared.errors import FixRequest
from shared.recommendations.files.formats import MAX_FILE_BYTES
from shared.tenants.lookup import get_known_tenant
from shared.tenants.model import Tenant
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, page, route
from shared.triggers.principal import MANAGERS
from shared.triggers.request_bodies import FormBody
from shared.triggers.routes import model_of
from shared.value_object import value_object
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language

if TYPE_CHECKING:
    from shared.recommendations.files.importing import ImportResult

blueprint = func.Blueprint()

_IMPORT: Final = model_of("shared.recommendations.files.views", "ImportView")
MAX_SHOWN: Final = 200
"""Most actions of a list on the page; the API gives all."""
_FIELD: Final = "file"
_FORM_BYTES: Final = 16 * 1024
"""What a form needs around the file."""
_BODY: Final = FormBody(max_bytes=MAX_FILE_BYTES + _FORM_BYTES, files=frozenset({_FIELD}))


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
    answers={200: _IMPORT},
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
    from shared.recommendations.files.views import ImportView

    return JsonAnswer(ImportView.of(await _import(call)))


@page(blueprint, "GET", "tenants/{tenant_id}/import", roles=MANAGERS)
async def import_form(call: Call) -> func.HttpResponse:
    """Show the form that sends a file."""
    return _form(call, await _known(call))


@page(blueprint, "POST", "tenants/{tenant_id}/import", roles=MANAGERS, body=_BODY)
async def import_save(call: Call) -> func.HttpResponse:
    """Import the file and show what it changed. The result is stored nowhere else, so this answer is the page."""
    from shared.recommendations.files.views import ImportView

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
