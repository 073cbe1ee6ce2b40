"""The Table API (ServiceNow §2): asking for rows, inserting one, changing one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

from shared.connections.model import Connection
from shared.errors import AnswerIncomplete
from shared.outbound.answers import Answer
from shared.secret import Secret
from shared.service import service
from shared.servicenow.answers import is_no_record_found, result_of, total_count_of, unusable_answer
from shared.servicenow.authorized import AuthorizedTransport
from shared.servicenow.transport import ServiceNowRequest, Subject
from shared.texts import one_line
from shared.value_object import value_object

_SHAPE: Final = {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"}
"""Raw value and label of every field at once, without links."""
LINE_MAX_LENGTH: Final = 200
"""Characters; more than any number, state, name or label of an instance has (ServiceNow §5.1)."""
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z_-]{1,32}")
"""32 hexadecimal digits, except for records that a script made; ``sys_id`` holds 32 characters."""


class Row:
    """One record of an answer.

    A field that we may not read is missing (or empty: reports differ), so a missing field is read as empty (ServiceNow
    §2.6). What is stored or shown is bounded: an instance's rules and imports can put anything into a field, and one
    value that our storage refuses would hold up all the others.
    """

    __slots__ = ("_cells",)

    def __init__(self, cells: Mapping[str, object]) -> None:
        self._cells = cells

    def value(self, field: str) -> str:
        """Return the raw value, or an empty text."""
        return self._part(field, "value")

    def line(self, field: str) -> str:
        """Return the raw value as one line for people, or an empty text."""
        return one_line(self._part(field, "value"), LINE_MAX_LENGTH)

    def shows(self, field: str) -> bool:
        """Whether the answer has the field at all."""
        return field in self._cells

    def text(self, field: str) -> str:
        """Return the whole display value, which is how a journal reads (ServiceNow §14), or an empty text."""
        return self._part(field, "display_value")

    def label(self, field: str) -> str:
        """Return the display value as one line for people, or an empty text.

        The caller's language, time zone and date format shape it.
        """
        return one_line(self._part(field, "display_value"), LINE_MAX_LENGTH)

    def identifier(self, field: str) -> str:
        """Return a record's id, or an empty text when the value cannot be one."""
        value = self._part(field, "value")
        return value if _IDENTIFIER.fullmatch(value) else ""

    @property
    def sys_id(self) -> str:
        """The record's own id, or an empty text."""
        return self.identifier("sys_id")

    def _part(self, field: str, part: str) -> str:
        cell = self._cells.get(field)
        found = cell.get(part) if isinstance(cell, dict) else cell
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        # A text that ServiceNow cut inside an emoji ends in half a character, which cannot be encoded.
        return found.encode(errors="replace").decode() if isinstance(found, str) else ""


@value_object
class Page:
    """Rows of one answer.

    Attributes:
        total_count: Number of rows of the whole query, including those that we may not see; None if ServiceNow did not
            say.
    """

    rows: Sequence[Row]
    total_count: int | None


@service
class TableApi:
    """Calls the Table API. Every method raises what :func:`shared.servicenow.answers.result_of` raises."""

    transport: AuthorizedTransport

    def with_token(self, token: Secret) -> TableApi:
        """Return the API with this access token instead of the connections' own."""
        return replace(self, transport=self.transport.with_token(token))

    async def list_rows(
        self,
        connection: Connection,
        table: Subject,
        *,
        query: str,
        fields: Sequence[str],
        limit: int,
        offset: int = 0,
        counted: bool = True,
    ) -> Page:
        """Return up to ``limit`` rows. The limit applies before access controls: a page can come back short or empty.

        Args:
            connection: The connection whose instance is asked.
            table: Table to ask.
            query: Encoded query, made by :mod:`shared.servicenow.queries`.
            fields: Columns to return.
            limit: At least 1.
            offset: Rows to skip.
            counted: Whether to have the rows counted; this costs the instance a query.
        """
        return await self.list_records(
            connection,
            table,
            subject=table,
            query=query,
            fields=fields,
            limit=limit,
            offset=offset,
            counted=counted,
        )

    async def list_records(
        self,
        connection: Connection,
        table: str,
        *,
        subject: Subject,
        query: str,
        fields: Sequence[str],
        limit: int,
        offset: int = 0,
        counted: bool = True,
    ) -> Page:
        """Return rows as :meth:`list_rows` does, of a table whose name comes from outside and appears in no log."""
        parameters = {
            "sysparm_query": query,
            "sysparm_fields": ",".join(fields),
            "sysparm_limit": str(limit),
            **_SHAPE,
            "sysparm_suppress_pagination_header": "true",
        }
        if offset:
            parameters["sysparm_offset"] = str(offset)
        if not counted:
            parameters["sysparm_no_count"] = "true"
        request = ServiceNowRequest(
            method="GET",
            url=table_url(connection.instance, table),
            subject=subject,
            parameters=parameters,
        )
        return await self.transport.read(connection, request, self._page)

    async def get_row(self, connection: Connection, table: Subject, sys_id: str, *, fields: Sequence[str]) -> Row:
        """Return one record. Raises AccessRefused (``record_not_found``) if there is none, or none that we may see."""
        request = ServiceNowRequest(
            method="GET",
            url=f"{table_url(connection.instance, table)}/{sys_id}",
            subject=table,
            parameters={"sysparm_fields": ",".join(fields), **_SHAPE},
        )
        return await self.transport.read(connection, request, self._read)

    async def insert(
        self,
        connection: Connection,
        table: Subject,
        record: Mapping[str, str],
        *,
        fields: Sequence[str],
        send_by: datetime | None = None,
    ) -> Row:
        """Insert one record, in one request that is never repeated, and return these fields of it.

        Args:
            connection: The connection whose instance gets it.
            table: Its table.
            record: Its fields.
            fields: Columns to return.
            send_by: Do not send the request after this time; None for no limit.
        """
        request = ServiceNowRequest(
            method="POST",
            url=table_url(connection.instance, table),
            subject=table,
            parameters={"sysparm_fields": ",".join(fields), **_SHAPE},
            record=record,
            is_write=True,
        )
        return await self.transport.send(connection, request, self._inserted, send_by=send_by)

    async def update(
        self,
        connection: Connection,
        table: Subject,
        sys_id: str,
        changes: Mapping[str, str],
        *,
        fields: Sequence[str],
        send_by: datetime | None = None,
    ) -> Row:
        """Change one record, in one request that is never repeated, and return these fields of it.

        Args:
            connection: The connection whose instance has it.
            table: Its table.
            sys_id: Its id.
            changes: Its new values by field.
            fields: Columns to return.
            send_by: As for :meth:`insert`.
        """
        request = ServiceNowRequest(
            method="PATCH",
            url=f"{table_url(connection.instance, table)}/{sys_id}",
            subject=table,
            parameters={"sysparm_fields": ",".join(fields), **_SHAPE},
            record=changes,
            is_write=True,
        )
        return await self.transport.send(connection, request, self._written, send_by=send_by)

    def _page(self, answer: Answer) -> Page:
        if is_no_record_found(answer):
            return Page((), 0)
        result = result_of(answer, writing=False, now=self.transport.clock())
        if not isinstance(result, list) or not all(isinstance(cells, dict) for cells in result):
            raise AnswerIncomplete()
        return Page([Row(cells) for cells in result], total_count_of(answer))

    def _read(self, answer: Answer) -> Row:
        result = result_of(answer, writing=False, now=self.transport.clock())
        if not isinstance(result, dict):
            raise AnswerIncomplete()
        return Row(result)

    def _inserted(self, answer: Answer) -> Row:
        """Return the new record; a row without columns if ServiceNow has created it (201) and does not show it."""
        row = self._written(answer)
        if not row.sys_id and answer.status != HTTPStatus.CREATED:
            raise unusable_answer(AnswerIncomplete(), writing=True)
        return row

    def _written(self, answer: Answer) -> Row:
        result = result_of(answer, writing=True, now=self.transport.clock())
        if not isinstance(result, dict):
            raise unusable_answer(AnswerIncomplete(), writing=True)
        return Row(result)


def table_url(instance: str, table: str) -> str:
    """Return the address of a table."""
    return f"{instance}/api/now/table/{table}"
