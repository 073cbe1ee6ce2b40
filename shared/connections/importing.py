"""Adding many connections from one file: a row for each, and a result for each row.

A file only adds. A connection that is there already stays as it is, so that the same file can be sent again after it
was cut off or its refused rows were corrected.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from shared.clock import steady_clock_s
from shared.connections.configure import ConnectionConfiguration
from shared.connections.ports import ConnectionStore
from shared.connections.requests import read_connection_request
from shared.errors import ConnectorError, FixRequest, OurBug
from shared.log import log_bug, log_event
from shared.service import service
from shared.value_object import value_object

MAX_ROWS: Final = 500
AT_ONCE: Final = 6
"""Rows that are added at the same time: Key Vault takes 300 versions of secrets in ten seconds."""
LIMIT_S: Final = 90.0
"""No row begins after this; the platform ends a request after 230 seconds."""

SHOWN: Final = 40
"""How many unknown headings a refusal names, and how many characters of each."""
REQUIRED: Final = ("connection_id", "instance", "client_id", "integration_user")
OPTIONAL: Final = (
    *("display_name", "client_secret", "grant", "second_factor_holder", "customer_group", "is_excluded"),
    *("limited_to", "language", "time_zone"),
)
_TRUE_OR_FALSE: Final = {"true": True, "false": False}


class ImportResult(StrEnum):
    """What became of a row."""

    ADDED = "added"
    PRESENT = "present"
    """A connection with this id was there before, or an earlier row has it; it stays as it is."""
    REFUSED = "refused"
    NOT_TRIED = "not_tried"
    """The time was over; the same file can be sent again."""


@value_object
class ImportRow:
    """A row of a file.

    Attributes:
        number: As a spreadsheet numbers rows, from 1.
        members: The request's members that the row has.
    """

    number: int
    connection_id: str
    members: Mapping[str, object]


@value_object
class ImportedRow:
    """What became of a row.

    Attributes:
        error: Why it was refused; None for any other result.
    """

    number: int
    connection_id: str
    result: ImportResult
    error: ConnectorError | None = None


@service
class ConnectionImport:
    """Adds the connections of a file.

    Attributes:
        seconds: A monotonic clock, in seconds.
    """

    configuration: ConnectionConfiguration
    connections: ConnectionStore
    seconds: Callable[[], float] = steady_clock_s

    async def run(self, content: bytes) -> Sequence[ImportedRow]:
        """Add the connections of a file and return what became of each row, in the file's order.

        Raises:
            FixRequest: 422 ``connections_file_invalid``; then nothing was added.
            TryLater: Storage does not answer, and nothing was added.
        """
        rows, began_s = read_connections_file(content), self.seconds()
        every, count = await self.connections.list_connections(), await self.configuration.count()
        known = {each.connection_id for each in every}
        taken = {each.connection_id for each in every if not each.is_removed}
        turn = asyncio.Semaphore(AT_ONCE)

        async def add(row: ImportRow, count: int) -> ImportedRow:
            async with turn:
                if self.seconds() - began_s >= LIMIT_S:
                    return ImportedRow(row.number, row.connection_id, ImportResult.NOT_TRIED)
                return await self._add(row, count)

        tasks = []
        for row in rows:
            if row.connection_id in taken:
                tasks.append(_present(row))
                continue
            tasks.append(add(row, count))
            taken.add(row.connection_id)
            if row.connection_id not in known:
                count += 1
        done = await asyncio.gather(*tasks)
        counts = {each.value: sum(row.result is each for row in done) for each in ImportResult}
        log_event("connections_imported", **counts)
        return done

    async def _add(self, row: ImportRow, count: int) -> ImportedRow:
        try:
            await self.configuration.put(row.connection_id, read_connection_request(row.members), count=count)
        except ConnectorError as error:
            return ImportedRow(row.number, row.connection_id, ImportResult.REFUSED, error)
        except Exception as error:  # noqa: BLE001 - what became of the other rows must be known
            log_bug("unexpected_error", error)
            return ImportedRow(row.number, row.connection_id, ImportResult.REFUSED, OurBug())
        return ImportedRow(row.number, row.connection_id, ImportResult.ADDED)


async def _present(row: ImportRow) -> ImportedRow:
    return ImportedRow(row.number, row.connection_id, ImportResult.PRESENT)


def read_connections_file(content: bytes) -> Sequence[ImportRow]:
    """Return the rows of a CSV file whose headings are the members of a request, and ``connection_id``.

    Raises:
        FixRequest: 422 ``connections_file_invalid``; the variant says why. Nothing of the file is repeated but names of
            headings.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FixRequest("connections_file_invalid", status=422, variant="encoding") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        raise FixRequest("connections_file_invalid", status=422, variant="damaged") from None
    numbered = [(number, row) for number, row in enumerate(table, start=1) if any(cell.strip() for cell in row)]
    headings = [heading.strip().lower() for heading in numbered[0][1]] if numbered else []
    if missing := [name for name in REQUIRED if name not in headings]:
        raise FixRequest("connections_file_invalid", status=422, variant="headings", wanted=", ".join(missing))
    if unknown := [name[:SHOWN] for name in headings if name and name not in {*REQUIRED, *OPTIONAL}][:SHOWN]:
        raise FixRequest(
            "connections_file_invalid",
            status=422,
            variant="unknown",
            names=", ".join(name[:40] for name in unknown[:10]),
        )
    if len(numbered) < 2:
        raise FixRequest("connections_file_invalid", status=422, variant="no_rows")
    if len(numbered) - 1 > MAX_ROWS:
        raise FixRequest("connections_file_invalid", status=422, variant="too_many_rows", limit=MAX_ROWS)
    return [_row(number, dict(zip(headings, row, strict=False))) for number, row in numbered[1:]]


def _row(number: int, cells: Mapping[str, str]) -> ImportRow:
    given = {name: text for name, cell in cells.items() if name and (text := cell.strip())}
    connection_id = given.pop("connection_id", "").lower()
    members: dict[str, object] = {**given}
    if excluded := given.get("is_excluded"):
        members["is_excluded"] = _TRUE_OR_FALSE.get(excluded.lower(), excluded)
    if allowed := given.get("limited_to"):
        members["limited_to"] = [{"object_id": each} for each in allowed.split()]
    members.setdefault("display_name", re.sub(r"^[a-z]+://|/.*$", "", given.get("instance", ""))[:100])
    return ImportRow(number, connection_id, members)
