"""Entity transactions of Table Storage: writes to one partition of a table that happen together or not at all.

In azure-data-tables a transaction takes three to ten times the processor time, most of it in a general parser of e-mail
messages. So this module writes and reads the multipart bodies and leaves the rest to the SDK: requests go through the
pipeline of the SDK's own client, with its credential, retries, tracing, log and connections. The errors are the SDK's,
too.

Sources: "Performing entity group transactions", "Insert Entity" and "Payload format for Table service operations" in
the REST reference of Azure Storage.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import isinf, isnan
from typing import Any, Final, cast
from urllib.parse import quote
from uuid import UUID, uuid4

from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.pipeline import PipelineContext, PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.core.utils import case_insensitive_dict
from azure.data.tables import (
    EdmType,
    RequestTooLargeError,
    TableErrorCode,
    TableTransactionError,
    TransactionOperation,
    UpdateMode,
)

from shared.value_object import value_object

type Row = Mapping[str, Any]

MOST_ROWS: Final = 100
MOST_BYTES: Final = 4 * 1024 * 1024

_PART_HEADERS: Final = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
_OPERATION_HEADERS: Final = "Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n"
_JSON_HEADER: Final = "Content-Type: application/json\r\n"
_to_json: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def text_bytes(text: str) -> int:
    """Return how many bytes a text takes in a transaction at most, line breaks and quotes aside."""
    return len(text) if text.isascii() else 6 * len(text)


@value_object
class RowOperation:
    """What a transaction does with one row.

    Attributes:
        row: The row's columns; for a deletion, at least its keys. Columns that are None are left out.
        mode: Whether an update or upsert leaves other columns unchanged.
        etag: Update or delete only this version of the row; None for any version.
    """

    kind: TransactionOperation
    row: Row
    mode: UpdateMode = UpdateMode.MERGE
    etag: str | None = None


class PipelineStart(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """The first policy of an SDK client's pipeline: requests sent from here go through the whole pipeline.

    Pass it to the client as ``per_call_policies`` and the same transport as ``transport``.
    """

    def __init__(self, transport: AsyncHttpTransport[HttpRequest, AsyncHttpResponse]) -> None:
        self._transport = transport

    async def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        """Pass a request of the SDK's client on."""
        return await self.next.send(request)

    async def send_request(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:
        """Send a request of our own and return the answer with its body. Raises AzureError."""
        context = PipelineContext(self._transport, **options)
        return (await self.next.send(PipelineRequest(request, context))).http_response


class EntityTransactions:
    """Carries out entity transactions in the tables of one storage account."""

    def __init__(self, account_url: str, pipeline: PipelineStart, options: Mapping[str, Any]) -> None:
        """Prepare; nothing is sent yet.

        Args:
            options: Options of the pipeline for each request.
        """
        self._account_url = account_url.rstrip("/")
        self._pipeline = pipeline
        self._options = options

    async def submit(self, table_name: str, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        """Carry out all the operations or none; return the rows' new etags, None for deleted rows.

        Raises:
            ValueError: The rows are in several partitions, or there are more than :data:`MOST_ROWS`. Nothing was sent.
            RequestTooLargeError: The body has more than :data:`MOST_BYTES`. Nothing was sent.
            TableTransactionError: The service refuses the operation at ``index``, for the reason in ``status_code`` and
                ``error_code``: 409 the row to insert is there, 404 the row or the table is not, 412 another version is.
            AzureError: As for every request to a table. After some, the transaction may have been carried out.
        """
        if not operations:
            return []
        if len(operations) > MOST_ROWS:
            raise ValueError(f"A transaction has at most {MOST_ROWS} rows.")
        if len({operation.row["PartitionKey"] for operation in operations}) > 1:
            raise ValueError("The rows of a transaction are of one partition.")
        boundary = f"batch_{uuid4()}"
        body = _body(f"{self._account_url}/{table_name}", boundary, operations)
        request = HttpRequest(
            "POST",
            f"{self._account_url}/$batch",
            headers={
                "Content-Type": f"multipart/mixed; boundary={boundary}",
                "Accept": "application/json",
                "DataServiceVersion": "3.0",
                "MaxDataServiceVersion": "3.0;NetFx",
                "x-ms-version": "2019-02-02",
            },
            content=body,
        )
        if len(body) > MOST_BYTES:
            headers = {"x-ms-error-code": TableErrorCode.REQUEST_BODY_TOO_LARGE.value}
            raise _error(RequestTooLargeError, _Answer(request, 413, "Request Entity Too Large", headers, b""))
        response = await self._pipeline.send_request(request, **self._options)
        return _etags(response, len(operations))


def _body(table_url: str, boundary: str, operations: Sequence[RowOperation]) -> bytes:
    changeset = f"changeset_{uuid4()}"
    lines = [f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n"]
    for number, operation in enumerate(operations):
        lines += f"--{changeset}\r\n{_PART_HEADERS}Content-ID: {number}\r\n", _request(table_url, operation)
    lines.append(f"--{changeset}--\r\n--{boundary}--\r\n")
    return "\r\n".join(lines).encode()


def _request(table_url: str, operation: RowOperation) -> str:
    """Return the HTTP request of one operation."""
    row = operation.row
    if operation.kind is TransactionOperation.CREATE:
        head = f"POST {table_url} HTTP/1.1\r\n{_OPERATION_HEADERS}Prefer: return-no-content\r\n{_JSON_HEADER}"
        return f"{head}\r\n{_to_json(_properties(row))}"
    keys = f"PartitionKey='{_in_url(row['PartitionKey'])}',RowKey='{_in_url(row['RowKey'])}'"
    if_match = "" if operation.kind is TransactionOperation.UPSERT else f"If-Match: {operation.etag or '*'}\r\n"
    head = f"{table_url}({keys}) HTTP/1.1\r\n{_OPERATION_HEADERS}{if_match}"
    if operation.kind is TransactionOperation.DELETE:
        return f"DELETE {head}\r\n"
    method = "PUT" if operation.mode is UpdateMode.REPLACE else "PATCH"
    return f"{method} {head}{_JSON_HEADER}\r\n{_to_json(_properties(row))}"


def _in_url(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")


def _properties(row: Row) -> dict[str, Any]:
    """Return a row as JSON; a value without a JSON type is a text, with its type beside it."""
    properties: dict[str, Any] = {}
    for name, value in row.items():
        if type(value) is str:  # Most times are, and this is faster.
            properties[name] = value
        elif value is not None:
            properties[name], edm_type = _encoded(value)
            if edm_type is not None:
                properties[f"{name}@odata.type"] = edm_type.value
    return properties


def _encoded(value: object) -> tuple[object, EdmType | None]:
    match value:
        case str() | bool():
            return value, None
        case int():
            if not -(2**31) <= value < 2**31:
                raise TypeError("A whole number of more than 32 bits needs EdmType.INT64.")
            return value, None
        case datetime():
            return _time_text(value), EdmType.DATETIME
        case float():
            return _float(value), EdmType.DOUBLE
        case bytes():
            return b64encode(value).decode(), EdmType.BINARY
        case UUID():
            return str(value), EdmType.GUID
        case (int(number), EdmType.INT64):
            if not -(2**63) <= number < 2**63:
                raise TypeError("A whole number has at most 64 bits.")
            return str(number), EdmType.INT64
        case _:
            raise TypeError(f"Table Storage has no type for {type(value).__qualname__}.")


def _time_text(value: datetime) -> str:
    """Return a time as it is stored; one that was read keeps the digits that do not fit into ``datetime``."""
    stored: str = getattr(value, "tables_service_value", "")
    return stored or value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _float(value: float) -> float | str:
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


@value_object
class _Answer:
    """The answer to one operation, with what the SDK's errors need from a response."""

    request: HttpRequest
    status_code: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        return self.body.decode(errors="replace")


def _etags(response: AsyncHttpResponse, count: int) -> list[str | None]:
    if response.status_code != 202:
        raise _error(_WHOLE.get(response.status_code, HttpResponseError), response)
    try:
        content_type = response.headers.get("Content-Type", "").encode()
        answers = [_answer(response.request, content) for content in _parts(content_type, response.content)]
    except (LookupError, ValueError):
        answers = []
    if refused := next((answer for answer in answers if not 200 <= answer.status_code < 300), None):
        raise _error(RequestTooLargeError if refused.status_code == 413 else TableTransactionError, refused)
    if len(answers) != count:
        raise DecodeError("The answer to a transaction cannot be read.", response=response)
    return [answer.headers.get("etag") for answer in answers]


_WHOLE: Final[Mapping[int, type[HttpResponseError]]] = {
    401: ClientAuthenticationError,
    404: ResourceNotFoundError,
    413: RequestTooLargeError,
}


def _parts(head: bytes, body: bytes) -> Iterator[bytes]:
    """Yield the HTTP answers in a multipart body; raises ValueError if it is incomplete."""
    _, found, boundary = head.partition(b"boundary=")
    if not found:
        yield body
        return
    boundary = boundary.split(b"\r\n")[0].split(b";")[0].strip(b'" ')
    _, *parts, end = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not end.startswith(b"--"):
        raise ValueError("the end is missing")
    for part in parts:
        inner_head, _, inner_body = part.partition(b"\r\n\r\n")
        yield from _parts(inner_head, inner_body)


def _answer(request: HttpRequest, content: bytes) -> _Answer:
    head, _, body = content.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    _, status, reason = status_line.split(" ", 2)
    fields = (line.partition(":") for line in lines)
    headers = case_insensitive_dict({name: value.strip() for name, _, value in fields})
    return _Answer(request, int(status), reason, headers, body)


def _error(kind: type[HttpResponseError], response: _Answer | AsyncHttpResponse) -> HttpResponseError:
    """Return the SDK's error for an answer; the message of a refused operation begins with its number."""
    code, message = response.headers.get("x-ms-error-code"), response.reason
    with suppress(ValueError, LookupError, TypeError):
        error = json.loads(response.text())["odata.error"]
        code, message = error["code"], error["message"]["value"]
    raised: Any = kind(message=f"{message}\nErrorCode:{code}", response=response)
    raised.error_code = code  # The SDK adds it to its errors in the same way.
    return cast(HttpResponseError, raised)
