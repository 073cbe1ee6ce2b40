"""What a connection check looks at, on the wire (ServiceNow §1, §2.8, §2.9, §3, §6, §7)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from shared.check.findings import EXEMPTED_GROUP
from shared.check.observations import (
    Account,
    ClientRecord,
    Greeting,
    MarkedRecord,
    RateLimit,
    Reach,
    RegistryTable,
    SignIn,
    SignInPage,
)
from shared.connections.model import Connection, TicketKind
from shared.connections.options import InstanceCatalogue
from shared.errors import (
    AnswerEncoded,
    AnswerIncomplete,
    AnswerTooLarge,
    InstanceBusy,
    NoAnswerInTime,
    NoRoomForAnswer,
    NotTheApi,
    QueryRefused,
    RecordsHidden,
    ServiceNowUnavailable,
    ValuesRefused,
)
from shared.outbound.answers import Answer, date_of, whole_number
from shared.outbound.failures import Reason
from shared.secret import Secret
from shared.service import service
from shared.servicenow.answers import common_error, result_of
from shared.servicenow.catalogue import ServiceNowCatalogue
from shared.servicenow.data_policies import ServiceNowDataPolicies
from shared.servicenow.queries import (
    ANY_RECORD,
    OURS,
    all_of,
    any_of,
    begins_like_ours,
    changes_since,
    condition,
    is_safe_value,
    one_of,
)
from shared.servicenow.records import ALL_CLASSES
from shared.servicenow.resolutions import way_to_close, ways_to_cancel
from shared.servicenow.table_api import LINE_MAX_LENGTH, Row, TableApi, table_url
from shared.servicenow.transport import NotReached, ServiceNowRequest, ServiceNowTransport, Subject
from shared.servicenow.visibility import ServiceNowVisibility
from shared.texts import one_line, printable_line
from shared.tickets.kinds import KINDS

if TYPE_CHECKING:
    from shared.check.preflight.model import DataPolicy

MARK: Final = "m365check:"
"""Prefix of the ``correlation_id`` of a dry run's record. It differs from the prefix of
tickets, so the synchronisation does not ask for such records."""
CLOSE_NOTES: Final = "Made by a connection check and canceled by it."

_GREETING_S: Final = 8.0
_MOST_HOPS: Final = 5
_ROWS_TRIED: Final = 20
"""How many records of a table are asked for to see one."""
_LONG_AGO: Final = "2000-01-01 00:00:00"
_RELEASE_PROPERTIES: Final = ("glide.buildtag", "glide.war", "glide.buildname")
_RELEASE: Final = re.compile(r"(?:glide-)?([a-z]+)")
_INVALID: Final = re.compile(r"invalid[ _](client|redirect)|(client_id|redirect_uri)[^<>]{0,40}(invalid|mismatch)")
_ALL_SCOPES: Final = "public"
_TOO_SLOW: Final = (NoAnswerInTime, InstanceBusy, NoRoomForAnswer)
_NO_ANSWER_OF_THE_API: Final = (AnswerTooLarge, AnswerEncoded, AnswerIncomplete)
_REACH_OF_OBSTACLE: Final = {
    Reason.HOST_UNKNOWN: Reach.HOST_UNKNOWN,
    Reason.CERTIFICATE_REFUSED: Reach.CERTIFICATE_REFUSED,
    Reason.NO_CONNECTION: Reach.NO_CONNECTION,
}


@service
class ServiceNowProbe:
    """Implements :class:`shared.check.observations.InstanceProbe`."""

    transport: ServiceNowTransport
    table_api: TableApi
    catalogue: InstanceCatalogue

    def with_token(self, token: Secret) -> ServiceNowProbe:
        """See the port."""
        table_api = self.table_api.with_token(token)
        return replace(self, table_api=table_api, catalogue=ServiceNowCatalogue(table_api))

    async def greet(self, instance: str) -> Greeting:
        """See the port: without credentials, a working instance answers 401 (ServiceNow §2.9)."""
        asked_at = self.transport.clock()
        request = ServiceNowRequest(
            method="GET",
            url=table_url(instance, "sys_user"),
            subject="greeting",
            parameters={"sysparm_limit": "1", "sysparm_fields": "sys_id"},
        )
        try:
            answer = await self.transport.send(request, lambda answer: answer, total_s=_GREETING_S)
        except NotReached as error:
            return Greeting(_REACH_OF_OBSTACLE[error.obstacle])
        except _TOO_SLOW:
            return Greeting(Reach.TIMEOUT)
        except _NO_ANSWER_OF_THE_API:
            return Greeting(Reach.NOT_THE_API)
        except ServiceNowUnavailable:
            return Greeting(Reach.NO_CONNECTION)
        told = date_of(answer.headers.get("date", ""))
        here = asked_at + (self.transport.clock() - asked_at) / 2
        return Greeting(_reach(answer), answer.status, None if told is None else (told - here).total_seconds())

    async def sign_in_page(self, authorization_url: str) -> SignInPage:
        """See the port. Another site is not visited: it is enough to know that a browser is sent there."""
        origin = urlsplit(authorization_url)[:2]
        url = authorization_url
        for _ in range(_MOST_HOPS):
            answer = await self._page(url)
            if not 300 <= answer.status < 400:
                return SignInPage(_sign_in(answer), _shown(url))
            following = _followed(url, answer.headers.get("location", ""))
            if following is None:
                break
            url = following
            if urlsplit(url)[:2] != origin:
                break
        return SignInPage(SignIn.ELSEWHERE, _shown(url))

    async def serves_tokens(self, instance: str) -> bool:
        """See the port: an empty request gets the one generic refusal (ServiceNow §1.6)."""
        request = ServiceNowRequest(
            method="POST",
            url=f"{instance}/oauth_token.do",
            subject="oauth_token",
            form=_form({"grant_type": "refresh_token"}),
        )
        return await self.transport.send(request, self._is_refusal)

    async def rate_limit(self, connection: Connection) -> RateLimit:
        """See the port."""
        request = ServiceNowRequest(
            method="GET",
            url=table_url(connection.instance, ALL_CLASSES),
            subject=ALL_CLASSES,
            parameters={"sysparm_query": OURS, "sysparm_limit": "1", "sysparm_fields": "sys_id"},
        )
        return await self.table_api.transport.send(connection, request, self._limit)

    async def client_record(self, connection: Connection, client_id: str) -> ClientRecord | None:
        """See the port."""
        if not is_safe_value(client_id):
            return None
        row = await self._row(
            connection,
            "oauth_entity",
            ("client_id", client_id),
            ("active", "redirect_url", "refresh_token_lifespan"),
        )
        if row is None:
            return None
        return ClientRecord(
            active=_boolean(row.value("active")),
            redirect_uris=re.split(r"[\s,]+", row.value("redirect_url").strip()) if row.value("redirect_url") else (),
            refresh_token_lifespan_s=whole_number(row.value("refresh_token_lifespan")),
        )

    async def registry_table(self, connection: Connection) -> RegistryTable | None:
        """See the port: the table's row in ``sys_db_object``, where *Accessible from* is the column ``access``."""
        row = await self._row(connection, "sys_db_object", ("name", "oauth_entity"), ("access", "read_access"))
        if row is None:
            return None
        scope = row.value("access")
        return RegistryTable(
            from_all_scopes=scope == _ALL_SCOPES if scope else None, can_read=_boolean(row.value("read_access"))
        )

    async def account(self, connection: Connection, user_sys_id: str) -> Account | None:
        """See the port."""
        flags = ("active", "locked_out", "web_service_access_only", "password_needs_reset")
        row = await self._row(connection, "sys_user", ("sys_id", user_sys_id), flags)
        if row is None:
            return None
        active, locked_out, web_service_access_only, password_needs_reset = (
            _boolean(row.value(flag)) for flag in flags
        )
        return Account(active, locked_out, web_service_access_only, password_needs_reset)

    async def is_seen_exempted(self, connection: Connection, user_sys_id: str) -> bool:
        """See the port: members of one group need none (ServiceNow §1.9). A dropped condition shows others' rows."""
        page = await self.table_api.list_rows(
            connection,
            "sys_user_grmember",
            query=all_of(condition("user", "=", user_sys_id), condition("group.name", "=", EXEMPTED_GROUP)),
            fields=("user", "group.name"),
            limit=1,
            counted=False,
        )
        return any(
            row.value("user") == user_sys_id and row.value("group.name").casefold() == EXEMPTED_GROUP.casefold()
            for row in page.rows
        )

    async def query_by_time(self, connection: Connection) -> None:
        """See the port. A condition that ServiceNow drops brings somebody else's records (ServiceNow §2.3)."""
        page = await self.table_api.list_rows(
            connection,
            ALL_CLASSES,
            query=changes_since(_LONG_AGO, inclusive=True),
            fields=("sys_id", "correlation_id"),
            limit=1,
            counted=False,
        )
        if not all(begins_like_ours(row.value("correlation_id")) for row in page.rows):
            raise QueryRefused(variant="not_honoured")

    async def read_kind(self, connection: Connection, kind: TicketKind) -> None:
        """See the port. A table that may not be read can look empty while its records are counted (§2.6, §2.7)."""
        page = await self.table_api.list_rows(
            connection, KINDS[kind].table, query=ANY_RECORD, fields=("sys_id",), limit=_ROWS_TRIED
        )
        if not page.rows and page.total_count:
            raise RecordsHidden(variant="of_kind")

    async def visible(self, connection: Connection, sys_ids: Collection[str]) -> Mapping[str, str]:
        """See the port."""
        return await ServiceNowVisibility(self.table_api).visible(connection, sys_ids)

    async def may_read_choices(self, connection: Connection, kind: TicketKind) -> bool:
        """See the port."""
        return await self.catalogue.choices(connection, kind, "state") is not None

    async def release(self, connection: Connection) -> str | None:
        """See the port: the build's tag begins with the name of its release."""
        page = await self.table_api.list_rows(
            connection,
            "sys_properties",
            query=one_of("name", _RELEASE_PROPERTIES),
            fields=("name", "value"),
            limit=len(_RELEASE_PROPERTIES),
            counted=False,
        )
        values = {row.value("name"): row.value("value").lower() for row in page.rows}
        for name in _RELEASE_PROPERTIES:
            if match := _RELEASE.match(values.get(name, "")):
                return match[1]
        return None

    async def data_policies(
        self, connection: Connection, kind: TicketKind, sent: Mapping[str, str]
    ) -> Sequence[DataPolicy] | None:
        """See the port."""
        return await ServiceNowDataPolicies(self.table_api).policies(connection, kind, sent)

    async def create_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, fields: Mapping[str, str]
    ) -> MarkedRecord:
        """See the port."""
        record = {**fields, "sys_id": sys_id, "correlation_id": f"{MARK}{sys_id}"}
        columns = ("sys_id", "number", *(name for name in fields if name != "sys_id"))
        row = await self.table_api.insert(connection, KINDS[kind].table, record, fields=columns)
        return _marked(row, sys_id, columns)

    async def find_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, columns: Collection[str]
    ) -> MarkedRecord | None:
        """See the port."""
        page = await self.table_api.list_rows(
            connection,
            KINDS[kind].table,
            query=any_of(condition("sys_id", "=", sys_id), condition("correlation_id", "=", f"{MARK}{sys_id}")),
            fields=tuple(dict.fromkeys(("sys_id", "number", "correlation_id", *columns))),
            limit=1,
            counted=False,
        )
        for row in page.rows:
            # Rules of the instance can replace either of them.
            if row.sys_id == sys_id or row.value("correlation_id") == f"{MARK}{sys_id}":
                return _marked(row, sys_id, columns)
        return None

    async def cancel_marked(self, connection: Connection, kind: TicketKind, record: MarkedRecord) -> bool:
        """See the port. Where a data policy asks for a resolution, one is given (ServiceNow §5.4)."""
        codes = [choice.value for choice in await self.catalogue.choices(connection, kind, "close_code") or ()]
        ways = (*ways_to_cancel(kind, codes, CLOSE_NOTES), way_to_close(kind, codes, CLOSE_NOTES))
        for changes in ways:
            try:
                row = await self.table_api.update(
                    connection, KINDS[kind].table, record.sys_id, changes, fields=("sys_id", "state", "active")
                )
            except ValuesRefused:
                continue
            if row.value("active") == "false":
                return True
        return False

    async def _page(self, url: str) -> Answer:
        request = ServiceNowRequest(method="GET", url=url, subject="sign_in_page", accept="text/html")
        return await self.transport.send(request, self._usable_page)

    def _usable_page(self, answer: Answer) -> Answer:
        """Return an answer that may be a page. Raises for answers that mean the same for any request."""
        if answer.status >= 500 or answer.status == 429:
            error = common_error(answer, writing=False, now=self.transport.clock())
            assert error is not None, "such a status always is an error"
            raise error
        return answer

    def _is_refusal(self, answer: Answer) -> bool:
        if not answer.is_json and 400 <= answer.status < 500 and answer.status != 429:
            return False
        error = common_error(answer, writing=False, now=self.transport.clock())
        if isinstance(error, NotTheApi):
            return False
        if error is not None:
            raise error
        return "error" in (answer.document() or {})

    def _limit(self, answer: Answer) -> RateLimit:
        result_of(answer, writing=False, now=self.transport.clock())
        return RateLimit(whole_number(answer.headers.get("x-ratelimit-limit", "")))

    async def _row(
        self, connection: Connection, table: Subject, key: tuple[str, str], fields: Sequence[str]
    ) -> Row | None:
        """Return the row with that key; None if ServiceNow hides it or shows another one."""
        name, value = key
        page = await self.table_api.list_rows(
            connection, table, query=all_of(condition(name, "=", value)), fields=(name, *fields), limit=1, counted=False
        )
        return next((row for row in page.rows if row.value(name) == value), None)


def _marked(row: Row, proposed: str, columns: Collection[str]) -> MarkedRecord:
    values = {column: row.value(column) for column in columns if row.shows(column)}
    # An instance may show a field that may not be read as an empty one (ServiceNow §2.6).
    return MarkedRecord(row.sys_id or proposed, row.line("number"), values if any(values.values()) else {})


def _reach(answer: Answer) -> Reach:
    """Return what answered."""
    if 300 <= answer.status < 400:
        return Reach.REDIRECTS
    if answer.status >= 500:
        return Reach.SERVER_ERROR
    if answer.is_json or answer.status == 429 or "www-authenticate" in answer.headers:
        return Reach.API
    if answer.status == 403:
        return Reach.ADDRESS_BLOCKED
    return Reach.HIBERNATING if b"hibernat" in answer.body.lower() else Reach.NOT_THE_API


def _sign_in(answer: Answer) -> SignIn:
    """Return what the page is; the login form is known by the name of its password field (ServiceNow §1.3)."""
    text = answer.body.decode(errors="replace").lower()
    if 'name="user_password"' in text or "name='user_password'" in text:
        return SignIn.LOGIN_FORM
    if refused := _INVALID.search(text):
        return SignIn.CLIENT_UNKNOWN if "client" in refused[0] else SignIn.REDIRECT_REFUSED
    return SignIn.OTHER_ERROR if answer.status >= 400 else SignIn.ELSEWHERE


def _followed(url: str, location: str) -> str | None:
    """Return where a redirect leads a browser; None if it leads to no web page."""
    try:
        address = urljoin(url, location)
        scheme, host = urlsplit(address)[:2]
    except ValueError:
        return None
    return address if scheme in {"http", "https"} and host else None


def _shown(url: str) -> str:
    """Return an address as one line for people, without parts that could be secret: user, parameters, session."""
    scheme, host, path, _, _ = urlsplit(url)
    address = urlunsplit((scheme, host.rpartition("@")[2], path.partition(";")[0], "", ""))
    return one_line(printable_line(address), LINE_MAX_LENGTH)


def _form(parameters: Mapping[str, str]) -> Secret:
    return Secret(urlencode(parameters))


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)
