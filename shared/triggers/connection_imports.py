"""Adding many connections from a file: the page and the operation of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import azure.functions as func
from pydantic import Field

from shared.connections.configure import MAX_CONNECTIONS
from shared.errors import ConnectorError, FixRequest
from shared.triggers.answers import JsonAnswer
from shared.triggers.front_door import Call, page, route
from shared.triggers.principal import MANAGERS
from shared.triggers.request_bodies import FormBody
from shared.views import View
from shared.words.error_words import fault_words, words_of
from shared.words.language import Language
from shared.words.sentences import sentences

if TYPE_CHECKING:
    from shared.connections.importing import ImportedRow

blueprint = func.Blueprint()

MAX_FILE_BYTES: Final = 512 * 1024
_FIELD: Final = "file"
_BODY: Final = FormBody(max_bytes=MAX_FILE_BYTES, files=frozenset({_FIELD}))


class ImportedConnectionView(View):
    """What became of a row."""

    row: int = Field(description="As a spreadsheet numbers rows, from 1.")
    connection_id: str
    result: str = Field(
        description="added; present: a connection, or an earlier row, has this id, and it stays as it is; refused; "
        "not_tried: the time was over, and the same file can be sent again."
    )
    code: str | None = Field(description="Why it was refused; null otherwise.")
    message: str | None = Field(description="The same in words.")


class ConnectionImportView(View):
    """What became of a file of connections."""

    added: int
    present: int
    refused: int
    not_tried: int
    rows: tuple[ImportedConnectionView, ...]


@route(
    blueprint,
    "POST",
    "api/connection-imports",
    summary="Add the connections of a CSV file; those that are there stay as they are",
    roles=MANAGERS,
    body=_BODY,
    answers={200: ConnectionImportView},
    problems={
        400: ("invalid_form",),
        411: ("length_required",),
        415: ("unsupported_media_type",),
        422: ("connections_file_invalid",),
    },
)
async def add_connections(call: Call) -> JsonAnswer:
    """Answer with what became of each row."""
    return JsonAnswer(_view(await _import(call), call.language), language=call.language)


@page(blueprint, "GET", "connections/import", roles=MANAGERS)
async def add_connections_form(call: Call) -> func.HttpResponse:
    """Show the form that sends a file."""
    return _form(call)


@page(blueprint, "POST", "connections/import", roles=MANAGERS, body=_BODY)
async def add_connections_save(call: Call) -> func.HttpResponse:
    """Add the connections and show what became of each row. The result is stored nowhere else."""
    try:
        rows = await _import(call)
    except FixRequest as error:
        return _form(call, error)
    return _form(call, result=_view(rows, call.language))


async def _import(call: Call) -> Sequence[ImportedRow]:
    file = call.content.files.get(_FIELD)
    return await call.application.connection_import.run(b"" if file is None else file.content)


def _form(call: Call, error: FixRequest | None = None, result: ConnectionImportView | None = None) -> func.HttpResponse:
    from shared.connections.importing import MAX_ROWS, OPTIONAL, REQUIRED

    return call.page(
        "import_connections.html",
        status=200 if error is None else error.status,
        words=None if error is None else words_of(error, call.language),
        result=result,
        required=REQUIRED,
        optional=OPTIONAL,
        most_rows=MAX_ROWS,
        most_connections=MAX_CONNECTIONS,
        belongs_to="/configuration",
    )


def _view(rows: Sequence[ImportedRow], t: Language) -> ConnectionImportView:
    def count(result: str) -> int:
        return sum(each.result == result for each in rows)

    return ConnectionImportView(
        added=count("added"),
        present=count("present"),
        refused=count("refused"),
        not_tried=count("not_tried"),
        rows=tuple(
            ImportedConnectionView(
                row=each.number,
                connection_id=each.connection_id[:40],
                result=each.result.value,
                code=None if each.error is None else each.error.code,
                message=None if each.error is None else _words(each.error, t),
            )
            for each in rows
        ),
    )


def _words(error: ConnectorError, t: Language) -> str:
    """Return why a row was refused; if its values are wrong, what is wrong with each."""
    faults: Sequence[Mapping[str, object]] = error.values.get("errors", ()) if isinstance(error, FixRequest) else ()
    if not faults:
        words = words_of(error, t)
        return sentences(words.message, words.next_step)
    return sentences(*(f"{str(each['pointer']).strip('/')}{t('label.colon')}{fault_words(each, t)}" for each in faults))  # type: ignore[arg-type]
