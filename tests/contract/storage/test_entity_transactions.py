"""The product's entity transactions do the same as the SDK's: the same rows, the same errors."""

from __future__ import annotations

import json
import logging
import string
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.core.pipeline import transport
from azure.data.tables import EdmType, EntityProperty, TableEntity, TransactionOperation, UpdateMode
from azure.data.tables.aio import TableClient
from azure.identity.aio import ManagedIdentityCredential
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.certificates import Certificates
from shared.errors import StorageUnavailable
from shared.settings import Settings
from shared.storage.entity_transactions import MOST_BYTES, MOST_ROWS, EntityTransactions, RowOperation
from shared.storage.tables import REPEATED, RETRIES, Tables, open_tables, storage_errors
from tests.faults.gate import hang_up, serving

CREATE, UPDATE, UPSERT, DELETE = (
    TransactionOperation.CREATE,
    TransactionOperation.UPDATE,
    TransactionOperation.UPSERT,
    TransactionOperation.DELETE,
)
REPLACE: Final = UpdateMode.REPLACE
STALE: Final = "W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\""

type Submit = Callable[[Sequence[RowOperation]], Awaitable[Sequence[str | None]]]


@dataclass(frozen=True)
class Told:
    """The result of a transaction.

    Attributes:
        etags: Whether the answer has an etag, for each operation.
        error: Kind, status, code and index of the error.
    """

    etags: Sequence[bool] = ()
    error: tuple[str, int | None, str | None, int | None] | None = None


@dataclass
class Twins:
    """Does everything twice: with the SDK in one table, with the product's module in another."""

    sdk_table: TableClient
    own_table: TableClient
    transactions: EntityTransactions

    async def by_sdk(self, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        results = await self.sdk_table.submit_transaction(map(as_sdk_takes_it, operations), **REPEATED)
        return [result.get("etag") for result in results]

    async def by_own(self, operations: Sequence[RowOperation]) -> Sequence[str | None]:
        return await self.transactions.submit(self.own_table.table_name, operations)

    async def both(self, *operations: RowOperation) -> Told:
        """Return the result, which must be the same for both."""
        by_sdk, by_own = await told(self.by_sdk, operations), await told(self.by_own, operations)
        assert by_own == by_sdk
        return by_own

    async def both_with_etags(self, *operations: RowOperation) -> Told:
        """As :meth:`both`; an etag in an operation stands for the row's current one."""
        outcomes = []
        for table, submit in ((self.sdk_table, self.by_sdk), (self.own_table, self.by_own)):
            present = {row["RowKey"]: row.metadata["etag"] async for row in table.list_entities()}
            outcomes.append(
                await told(
                    submit, [replace(each, etag=each.etag and present[each.row["RowKey"]]) for each in operations]
                )
            )
        assert outcomes[0] == outcomes[1]
        return outcomes[1]

    async def rows(self) -> list[TableEntity]:
        """Return the rows, which must be the same in both tables."""
        by_sdk, by_own = [[row async for row in table.list_entities()] for table in (self.sdk_table, self.own_table)]
        assert by_own == by_sdk
        assert [list(map(type, row.values())) for row in by_own] == [list(map(type, row.values())) for row in by_sdk]
        return by_own


def as_sdk_takes_it(operation: RowOperation) -> tuple[TransactionOperation, Mapping[str, Any], Mapping[str, Any]]:
    options: dict[str, Any] = {"mode": operation.mode} if operation.kind in {UPDATE, UPSERT} else {}
    if operation.etag is not None:
        options |= {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified}
    return operation.kind, operation.row, options


async def told(submit: Submit, operations: Sequence[RowOperation]) -> Told:
    try:
        etags = await submit(operations)
    except (AzureError, ValueError, TypeError) as error:
        code = getattr(error, "error_code", None)
        return Told(
            error=(
                type(error).__name__,
                getattr(error, "status_code", None),
                None if code is None else getattr(code, "value", code),
                getattr(error, "index", None),
            )
        )
    return Told([etag is not None for etag in etags])


def row(key: str, /, partition: str = "one", **columns: Any) -> dict[str, Any]:
    return {"PartitionKey": partition, "RowKey": key, **columns}


@pytest.fixture
def twins(tables: Tables) -> Twins:
    return Twins(tables.connections, tables.tickets, tables.transactions)


# Rows


async def test_every_operation_leaves_the_same_rows(twins: Twins) -> None:
    first = [RowOperation(CREATE, row(key, text=key, number=1)) for key in "abcdefg"]
    assert await twins.both(*first) == Told([True] * 7)
    changes = (
        RowOperation(UPDATE, row("a", number=2), etag="present"),
        RowOperation(UPDATE, row("b", number=2), REPLACE, "present"),
        RowOperation(UPDATE, row("c", other=None, number=3)),
        RowOperation(UPSERT, row("d", number=2)),
        RowOperation(UPSERT, row("e", number=2), REPLACE),
        RowOperation(UPSERT, row("new", number=2)),
        RowOperation(UPSERT, row("newer"), REPLACE),
        RowOperation(DELETE, row("f")),
        RowOperation(DELETE, row("g", text="not looked at"), etag="present"),
        RowOperation(CREATE, row("h")),
    )
    assert await twins.both_with_etags(*changes) == Told([True] * 7 + [False, False, True])
    assert {each["RowKey"]: each.get("text") for each in await twins.rows()} == {
        "a": "a",
        "b": None,
        "c": "c",
        "d": "d",
        "e": None,
        "h": None,
        "new": None,
        "newer": None,
    }


async def test_etags_are_those_of_the_rows_in_order(twins: Twins) -> None:
    etags = await twins.by_own([RowOperation(CREATE, row(key)) for key in ("b", "a", "c")])
    stored = {each["RowKey"]: each.metadata["etag"] async for each in twins.own_table.list_entities()}
    assert etags == [stored["b"], stored["a"], stored["c"]]


async def test_nothing_is_asked_for_nothing(twins: Twins) -> None:
    assert await twins.transactions.submit("no such table", []) == []


async def test_as_many_rows_as_a_transaction_holds(twins: Twins) -> None:
    assert await twins.both(*(RowOperation(UPSERT, row(f"{each:03}")) for each in range(MOST_ROWS))) == Told(
        [True] * 100
    )
    assert len(await twins.rows()) == 100


async def test_a_time_with_seven_digits_is_written_back_as_it_was(twins: Twins) -> None:
    for table in (twins.sdk_table, twins.own_table):
        exact = EntityProperty("2026-01-02T03:04:05.1234567Z", EdmType.DATETIME)
        await table.create_entity(row("a", at=exact))
        stored = await table.get_entity("one", "a")
        await told(
            twins.by_sdk if table is twins.sdk_table else twins.by_own,
            [RowOperation(UPSERT, {**stored, "RowKey": "b"}, REPLACE)],
        )
    [first, second] = await twins.rows()
    assert second["at"].tables_service_value == first["at"].tables_service_value == "2026-01-02T03:04:05.1234567Z"


TEXTS = st.text(max_size=60) | st.text(st.characters(max_codepoint=0x1F), max_size=10)
TIMES = st.datetimes(
    datetime(1700, 1, 1),  # noqa: DTZ001 - the zone is drawn
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-3, minutes=-30))]),
)
VALUES = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(-(2**63), 2**63 - 1).map(lambda number: EntityProperty(number, EdmType.INT64))
    | st.floats()
    | st.binary(max_size=60)
    | TIMES
    | st.uuids()
)
KEYS = st.text(st.characters(codec="utf-8"), max_size=20) | st.text(
    string.ascii_letters + " '\"%&+=():;,.-_~!*@$[]{}|<>/\\?#", max_size=20
)


@given(st.lists(st.tuples(KEYS, st.dictionaries(st.sampled_from("abcdefgh"), VALUES)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_value_and_key_is_written_and_refused_alike(
    twins: Twins, drawn: list[tuple[str, dict[str, Any]]]
) -> None:
    for kind, mode in ((CREATE, UpdateMode.MERGE), (UPSERT, UpdateMode.MERGE), (UPSERT, REPLACE)):
        await twins.both(*(RowOperation(kind, row(key, **columns), mode) for key, columns in drawn))
    await twins.both(*(RowOperation(UPSERT, row("key", key, **columns)) for key, columns in drawn[:1]))
    written = await twins.rows()
    for each in written:
        await twins.both(RowOperation(DELETE, each))


@pytest.mark.parametrize(
    "value",
    [2**31, -(2**31) - 1, EntityProperty(2**63, EdmType.INT64), object(), [1], {"a": 1}],
    ids=["33 bits", "33 bits below zero", "65 bits", "an object", "a list", "a mapping"],
)
async def test_what_has_no_place_in_a_column_is_refused_before_it_is_sent(twins: Twins, value: object) -> None:
    assert (await twins.both(RowOperation(CREATE, row("a", column=value)))).error == ("TypeError", None, None, None)


# Refusals


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (RowOperation(CREATE, row("taken")), (409, "EntityAlreadyExists")),
        (RowOperation(UPDATE, row("taken", n=1), etag=STALE), (412, "UpdateConditionNotSatisfied")),
        (RowOperation(UPDATE, row("taken", n=1), REPLACE, STALE), (412, "UpdateConditionNotSatisfied")),
        (RowOperation(UPDATE, row("missing", n=1)), (404, "ResourceNotFound")),
        (RowOperation(UPDATE, row("missing", n=1), etag=STALE), (404, "ResourceNotFound")),
        (RowOperation(UPDATE, row("missing", n=1), REPLACE, STALE), (404, "ResourceNotFound")),
        (RowOperation(DELETE, row("missing")), (404, "ResourceNotFound")),
        (RowOperation(DELETE, row("missing"), etag=STALE), (404, "ResourceNotFound")),
        (RowOperation(DELETE, row("taken"), etag=STALE), (412, "UpdateConditionNotSatisfied")),
        (RowOperation(UPSERT, row("first")), (400, "InvalidDuplicateRow")),
    ],
)
@pytest.mark.parametrize("before", [1, 98])
async def test_one_refused_operation_is_named_and_nothing_is_written(
    twins: Twins, refused: RowOperation, error: tuple[int, str], before: int
) -> None:
    await twins.both(RowOperation(CREATE, row("taken")))
    others = [RowOperation(UPSERT, row("first")), *(RowOperation(UPSERT, row(f"x{each}")) for each in range(before))]
    others.insert(before, refused)
    assert (await twins.both(*others)).error == ("TableTransactionError", *error, before)
    assert [each["RowKey"] for each in await twins.rows()] == ["taken"]


async def test_a_missing_table_is_reported(twins: Twins, tables: Tables) -> None:
    await tables.service.delete_table(twins.own_table.table_name)
    await tables.service.delete_table(twins.sdk_table.table_name)
    told_by = await twins.both(RowOperation(UPSERT, row("a")))
    assert told_by.error == ("TableTransactionError", 404, "TableNotFound", 0)


async def test_what_is_too_much_is_not_sent(tables: Tables, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    submit = tables.transactions.submit
    with pytest.raises(ValueError, match="at most 100 rows"):
        await submit("tickets", [RowOperation(UPSERT, row(str(each))) for each in range(MOST_ROWS + 1)])
    with pytest.raises(ValueError, match="one partition"):
        await submit("tickets", [RowOperation(UPSERT, row("a")), RowOperation(UPSERT, row("a", "another"))])
    large = await told(
        lambda operations: submit("tickets", operations),
        [RowOperation(UPSERT, row(str(each), text="x" * (MOST_BYTES // 100))) for each in range(MOST_ROWS)],
    )
    assert large.error == ("RequestTooLargeError", 413, "RequestBodyTooLarge", 0)
    assert caplog.text == ""


@pytest.mark.filterwarnings("ignore:Sending a large body directly")
async def test_the_service_refuses_what_is_too_large_in_the_same_way(twins: Twins) -> None:
    texts = {f"column{each}": "x" * 32_000 for each in range(15)}
    large = await twins.both(*(RowOperation(UPSERT, row(str(each), **texts)) for each in range(12)))
    assert large.error == ("RequestTooLargeError", 413, "RequestBodyTooLarge", 0)


# Faults of the network and the real service


@dataclass
class Service:
    """A table service that sends the given answers in turn, and then repeats the last one.

    Attributes:
        requests: The headers of the received requests.
    """

    answers: list[Response | None] = field(default_factory=list)
    requests: list[Mapping[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.requests.append(dict(request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:  # The connection breaks in the middle of the answer.
            whole = batch(created())
            await send({"type": "http.response.start", "status": 202, "headers": whole.raw_headers})
            await send({"type": "http.response.body", "body": whole.body[:200], "more_body": True})
            hang_up(receive)
            return
        await answer(scope, receive, send)


def batch(*answers: str, end: str = "--", status: int = 202) -> Response:
    """The answer to a transaction, in the words of the real service."""
    head = "--changesetresponse_2\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary"
    parts = "".join(f"{head}\r\n\r\n{answer}\r\n" for answer in answers)
    inner = "Content-Type: multipart/mixed; boundary=changesetresponse_2"
    body = f"--batchresponse_1\r\n{inner}\r\n\r\n{parts}--changesetresponse_2{end}\r\n--batchresponse_1{end}\r\n"
    return Response(body, status, {"Content-Type": "multipart/mixed; boundary=batchresponse_1"})


def created(number: int = 1) -> str:
    return (
        "HTTP/1.1 204 No Content\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
        "Preference-Applied: return-no-content\r\nDataServiceVersion: 3.0;\r\n"
        "Location: https://account.table.core.windows.net/tickets(PartitionKey='one',RowKey='a')\r\n"
        f"ETag: W/\"datetime'2026-01-01T00%3A00%3A00.000000{number}Z'\"\r\n\r\n"
    )


def problem(code: str, message: str) -> str:
    return json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})


def refused(status: str, code: str, message: str) -> str:
    return (
        f"HTTP/1.1 {status}\r\nX-Content-Type-Options: nosniff\r\nDataServiceVersion: 3.0;\r\n"
        f"Content-Type: application/json;odata=minimalmetadata;streaming=true;charset=utf-8\r\n\r\n"
        f"{problem(code, message)}\r\n"
    )


@pytest.fixture(scope="module")
def served(certificates: Certificates) -> Iterator[tuple[Service, str]]:
    """The service and its address."""
    service = Service()
    with serving(service, certificates) as url:
        yield service, f"{url}/account"


@pytest.fixture
def service(served: tuple[Service, str], monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service without requests; repeating a request does not wait."""

    async def sleep(_transport: object, _seconds: float) -> None:
        pass

    monkeypatch.setattr(transport.AsyncHttpTransport, "sleep", sleep)
    served[0].answers, served[0].requests = [], []
    return served[0]


@pytest.fixture
async def answered(
    served: tuple[Service, str], settings: Settings, credential: ManagedIdentityCredential
) -> AsyncIterator[Twins]:
    """The two ways to the service."""
    tables = open_tables(settings.model_copy(update={"tables_url": served[1]}), credential)
    yield Twins(tables.connections, tables.tickets, tables.transactions)
    await tables.aclose()


JSON: Final = {"Content-Type": "application/json;odata=minimalmetadata"}
ANSWERS: Final = {
    "all done": batch(created(), created(2)),
    "one refused": batch(refused("409 Conflict", "EntityAlreadyExists", "1:The specified entity already exists.\nR")),
    "refused without a number": batch(refused("412 Precondition Failed", "UpdateConditionNotSatisfied", "No.")),
    "an unknown code": batch(refused("400 Bad Request", "SomethingNew", "0:New.")),
    "all too large": Response(problem("RequestBodyTooLarge", "Too large."), 413, JSON),
    "not authenticated": Response(problem("AuthenticationFailed", "Server failed."), 401, JSON),
    "not allowed": Response(problem("AuthorizationPermissionMismatch", "No role."), 403, JSON),
    "no such account": Response(problem("ResourceNotFound", "Nothing here."), 404, JSON),
    "an address of another table": Response(problem("TableNotFound", "No table."), 404, JSON),
    "nothing understood": Response(problem("InvalidInput", "One of the inputs is not valid."), 400, JSON),
    "a page": Response("<html><body>Proxy</body></html>", 400, {"Content-Type": "text/html"}),
    "a page in a header": Response("", 400, {"Content-Type": "text/plain", "x-ms-error-code": "InvalidInput"}),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_means_the_same(answered: Twins, service: Service, answer: Response) -> None:
    service.answers = [answer]
    outcome = await answered.both(RowOperation(UPSERT, row("a")), RowOperation(UPSERT, row("b")))
    assert outcome == Told([True, True]) or outcome.error is not None


async def test_a_part_that_is_too_large_is_no_service_that_is_away(answered: Twins, service: Service) -> None:
    """The SDK gives the error of such a part the status of the whole answer, 202."""
    service.answers = [batch(refused("413 Request Entity Too Large", "RequestBodyTooLarge", "1:Too large."))]
    outcome = await told(answered.by_own, [RowOperation(UPSERT, row("a"))])
    assert outcome.error == ("RequestTooLargeError", 413, "RequestBodyTooLarge", 1)


@pytest.mark.parametrize(
    "answer",
    [
        batch(created()),
        batch(created(), created(), created()),
        batch(),
        batch(created(), created(), end=""),
        batch(created(), "HTTP/1.1"),
        batch(created(), "HTTP/1.1 OK fine\r\n\r\n"),
        Response("", 202),
        Response("{}", 202, JSON),
        Response("", 202, {"Content-Type": "multipart/mixed"}),
    ],
    ids=["too few", "too many", "none", "no end", "no status", "no number", "empty", "no multipart", "no boundary"],
)
async def test_an_answer_that_makes_no_sense_leaves_the_outcome_open(
    answered: Twins, service: Service, answer: Response
) -> None:
    service.answers = [answer]
    with pytest.raises(StorageUnavailable), storage_errors():
        await answered.by_own([RowOperation(UPSERT, row("a")), RowOperation(UPSERT, row("b"))])


async def test_requests_carry_what_the_sdk_sends(answered: Twins, service: Service) -> None:
    service.answers = [batch(created())]
    await answered.both(RowOperation(UPSERT, row("a")))
    by_sdk, by_own = service.requests
    each_its_own = {"content-length", "content-type", "x-ms-client-request-id", "x-ms-date", "date"}
    assert by_own.keys() == by_sdk.keys()
    assert {name for name in by_sdk if by_own[name] != by_sdk[name]} <= each_its_own
    assert by_own["authorization"].startswith("Bearer ")
    assert by_own["x-ms-client-request-id"] != by_sdk["x-ms-client-request-id"]


@pytest.mark.parametrize(
    "mishap", [Response(status_code=503), Response(status_code=500), None], ids=["503", "500", "cut off"]
)
async def test_a_transaction_is_repeated(answered: Twins, service: Service, mishap: Response | None) -> None:
    service.answers = [mishap, batch(created())]
    assert await told(answered.by_own, [RowOperation(UPSERT, row("a"))]) == Told([True])
    first, second = service.requests
    assert first["x-ms-client-request-id"] == second["x-ms-client-request-id"]
    assert first["content-type"] == second["content-type"]


@pytest.mark.parametrize("mishap", [Response(status_code=503), None], ids=["503", "cut off"])
async def test_what_is_repeated_in_vain_ends_alike(answered: Twins, service: Service, mishap: Response | None) -> None:
    service.answers = [mishap]
    outcome = await told(answered.by_own, [RowOperation(UPSERT, row("a"))])
    assert len(service.requests) == RETRIES + 1
    assert await told(answered.by_sdk, [RowOperation(UPSERT, row("a"))]) == outcome
    with pytest.raises(StorageUnavailable), storage_errors():
        await answered.by_own([RowOperation(UPSERT, row("a"))])


async def test_the_log_holds_neither_rows_nor_tokens(
    answered: Twins, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="azure")
    service.answers = [batch(created())]
    await answered.by_own([RowOperation(UPSERT, row("a", text="what the ticket says"))])
    assert "$batch" in caplog.text
    assert "what the ticket says" not in caplog.text
    assert service.requests[0]["authorization"] not in caplog.text
