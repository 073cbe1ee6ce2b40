"""Who is who in ServiceNow (ServiceNow §6)."""

from __future__ import annotations

import re
from typing import Final

from shared.connections.model import Connection, TicketKind
from shared.connections.ports import ServiceNowUser, UserRoles
from shared.errors import AccessRefused, FixConfiguration, InstanceClosed
from shared.outbound.answers import Answer
from shared.secret import Secret
from shared.service import service
from shared.servicenow.answers import result_of
from shared.servicenow.kinds import user_roles
from shared.servicenow.queries import CURRENT_USER, all_of, condition, is_safe_value, next_by, one_of
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.records import FIELDS as RECORD_FIELDS
from shared.servicenow.table_api import Row, TableApi
from shared.servicenow.transport import ServiceNowRequest, Subject
from shared.texts import ascii_lower
from shared.tickets.kinds import KINDS

_USER_FIELDS: Final = ("sys_id", "user_name", "email", "active", "locked_out", "time_zone")
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_EMAIL_MAX_LENGTH: Final = 100
"""Length of ``sys_user.email`` (ServiceNow §6)."""
_ROLES_LIMIT: Final = 1000
_NOBODY: Final = "0" * 32
"""A sys_id that belongs to no record."""


@service
class ServiceNowUsers:
    """Implements :class:`shared.connections.ports.UserDirectory`."""

    table_api: TableApi

    def with_token(self, token: Secret) -> ServiceNowUsers:
        """See the port."""
        return ServiceNowUsers(self.table_api.with_token(token))

    async def current_user(self, connection: Connection) -> ServiceNowUser:
        """Return whose access token this is.

        Two sources must agree: an endpoint that is undocumented but widely used, and a query that the instance
        completes with the caller's name. If the instance dropped that one condition, it would return somebody else's
        row. So the query asks for two rows and accepts only a single row with a count of one.

        Raises:
            AccessRefused: Code ``current_user_unknown``, or why ServiceNow refuses both ways.
            TryLater: As for every read.
        """
        named = await self._named_by_session(connection)
        try:
            row = await self._only_user(connection, CURRENT_USER)
        except AccessRefused:
            if named is None:
                raise
            row = None
        found = _user_of(row) if row is not None else None
        if found is None or named is None:
            user = found or named
        else:
            user = found if (found.sys_id, found.user_name) == (named.sys_id, named.user_name) else None
        if user is None:
            raise AccessRefused("current_user_unknown")
        return user

    async def roles_of(self, connection: Connection, user_sys_id: str) -> UserRoles | None:
        """Return the user's roles; None if the instance does not show all of them."""
        try:
            page = await self.table_api.list_rows(
                connection,
                "sys_user_has_role",
                query=condition("user", "=", user_sys_id),
                fields=("user", "role.name", "state"),
                limit=_ROLES_LIMIT,
            )
        except InstanceClosed:
            raise
        except AccessRefused:
            return None
        readable = all(row.value("user") == user_sys_id and row.value("role.name") for row in page.rows)
        if not readable or len(page.rows) < (page.total_count or 0):
            return None
        return user_roles(row.value("role.name") for row in page.rows if row.value("state") in {"", "active"})

    async def find_user_by_email(self, connection: Connection, email: str) -> str | None:
        """Return the sys_id of the only active user with that address (ignoring case), or None.

        Also None if the address cannot be put into a query unchanged, or if the instance does not let us look.
        """
        address = email.strip()
        if len(address) > _EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(address) or not is_safe_value(address):
            return None
        # Most instances ignore case; for the others, the usual spelling is asked for, too.
        spellings = dict.fromkeys((address, address.lower()))
        try:
            row = await self._only_user(
                connection, all_of(one_of("email", spellings), condition("active", "=", "true"))
            )
        except InstanceClosed:
            raise
        except AccessRefused:
            return None
        if row is None or ascii_lower(row.value("email")) != ascii_lower(address) or row.value("active") != "true":
            return None
        return row.sys_id or None

    async def may_read(self, connection: Connection, kind: TicketKind) -> bool:
        """Return whether the synchronisation's queries work on the kind's own table and on the parent table.

        They use range and sort on ``sys_updated_on`` or, if query rules forbid that, ``sys_id``.

        Raises:
            InstanceClosed: Nothing can be asked at all.
            TryLater: As for every read.
        """
        by_time = next_by("sys_updated_on", ("2000-01-01 00:00:00", _NOBODY))
        by_sys_id = one_of("sys_id", [_NOBODY])
        for table in (KINDS[kind].table, ALL_CLASSES):
            if not await self._may_ask(connection, table, by_time) and not await self._may_ask(
                connection, table, by_sys_id
            ):
                return False
        return True

    async def _may_ask(self, connection: Connection, table: Subject, query: str) -> bool:
        try:
            await self.table_api.list_rows(connection, table, query=query, fields=RECORD_FIELDS, limit=1, counted=False)
        except InstanceClosed:
            raise
        except AccessRefused:
            return False
        return True

    async def _named_by_session(self, connection: Connection) -> ServiceNowUser | None:
        """Ask the user interface's own endpoint; None when the instance does not offer it."""
        request = ServiceNowRequest(
            method="GET",
            url=f"{connection.instance}/api/now/ui/user/current_user",
            subject="current_user",
        )
        try:
            return await self.table_api.transport.read(connection, request, self._named)
        except FixConfiguration:
            return None

    def _named(self, answer: Answer) -> ServiceNowUser | None:
        result = result_of(answer, writing=False, now=self.table_api.transport.clock())
        row = Row(result) if isinstance(result, dict) else Row({})
        sys_id, user_name = row.identifier("user_sys_id"), row.line("user_name")
        return ServiceNowUser(sys_id=sys_id, user_name=user_name) if sys_id and user_name else None

    async def _only_user(self, connection: Connection, query: str) -> Row | None:
        """Return the row of the only user who matches the query, counting hidden ones; None otherwise."""
        page = await self.table_api.list_rows(connection, "sys_user", query=query, fields=_USER_FIELDS, limit=2)
        if len(page.rows) != 1 or page.total_count not in {None, 1}:
            return None
        return page.rows[0]


def _user_of(row: Row) -> ServiceNowUser | None:
    if not row.sys_id or not row.line("user_name"):
        return None
    return ServiceNowUser(
        sys_id=row.sys_id,
        user_name=row.line("user_name"),
        email=row.value("email") or None,
        active=_boolean(row.value("active")),
        locked_out=_boolean(row.value("locked_out")),
        time_zone=row.value("time_zone") or None,
    )


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)
