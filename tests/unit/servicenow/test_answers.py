"""Every answer of ServiceNow §2.8, §2.9, §3 and §7, for a read and for a write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    AccessRefused,
    AccessScopeMissing,
    AccessTokenRefused,
    AnswerIncomplete,
    ConnectorError,
    FixConfiguration,
    InstanceClosed,
    InstanceHibernating,
    InsufficientRights,
    MandatoryFieldsMissing,
    NotTheApi,
    OutcomeUnknown,
    QueryRefused,
    QuotaExceeded,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    TableNotAvailable,
    ValuesRefused,
)
from shared.outbound.answers import Answer
from shared.secret import Secret
from shared.servicenow.answers import result_of, retry_after_s, transaction_id_of
from shared.words.error_words import words_of
from tests.english import ENGLISH, told
from tests.fixtures.servicenow import ANY_TIME
from tests.unit.servicenow.support import (
    ACCESS_TOKEN,
    CONNECTION,
    KIND_SETTINGS,
    NOW,
    Reply,
    error_reply,
    instance,
    json_reply,
    raw_reply,
    ticket,
)


@dataclass(frozen=True)
class Case:
    name: str
    reply: Reply
    read: tuple[type[ConnectorError], str]
    write: tuple[type[ConnectorError], str]
    may_be_written: bool


def same(name: str, reply: Reply, error: type[ConnectorError], code: str) -> Case:
    """Reads and writes fail alike; the request was certainly not carried out, except if another token is needed."""
    return Case(name, reply, (error, code), (error, code), may_be_written=error is AccessTokenRefused)


def unclear(name: str, reply: Reply, code: str, error: type[ServiceNowUnavailable] = ServiceNowUnavailable) -> Case:
    """The answer does not say whether the request was carried out."""
    unknown = OutcomeUnknown, "outcome_unknown"
    return Case(name, reply, (error, code), unknown, may_be_written=True)


def in_front(name: str, reply: Reply, code: str = "servicenow_not_the_api") -> Case:
    """Something in front answered; the instance behind it may have carried out the request."""
    return Case(name, reply, (InstanceClosed, code), (InstanceClosed, code), may_be_written=True)


HIBERNATING = (
    b"<html><head><title>Instance Hibernating page</title></head><body>Your instance is hibernating</body></html>"
)
QUOTA = "Transaction cancelled: maximum execution time exceeded"

CASES = [
    same("invalid table", error_reply(400, "Invalid table incident", None), TableNotAvailable, "table_not_available"),
    same(
        "invalid limit",
        error_reply(400, "Invalid value given for sysparm_limit", "sysparm_limit value must be a positive integer"),
        FixConfiguration,
        "servicenow_rejected_request",
    ),
    same(
        "payload too large",
        error_reply(
            400, "Exception while reading request", "Rejected large REST payload with content-length = 1 bytes."
        ),
        FixConfiguration,
        "servicenow_rejected_request",
    ),
    same(
        "unknown API, 400",
        error_reply(400, "Requested URI does not represent any resource", None),
        InstanceClosed,
        "api_not_available",
    ),
    same(
        "unknown API, 404",
        error_reply(404, "Requested URI does not represent any resource", None),
        InstanceClosed,
        "api_not_available",
    ),
    same(
        "not authenticated",
        error_reply(401, "User Not Authenticated", "Required to provide Auth information"),
        AccessTokenRefused,
        "access_token_refused",
    ),
    same(
        "not authenticated, newer",
        error_reply(401, "User is not authenticated", "Required to provide Auth information"),
        AccessTokenRefused,
        "access_token_refused",
    ),
    same("401 without JSON", raw_reply(b"", 401), AccessTokenRefused, "access_token_refused"),
    same(
        "query on a field that may not be read",
        error_reply(
            403,
            "Insufficient rights to query records",
            "Field(s) present in the query do not have permission to be read",
        ),
        QueryRefused,
        "query_refused",
    ),
    same(
        "insert ACL",
        error_reply(403, "Operation Failed", "ACL Exception Insert Failed due to security constraints"),
        InsufficientRights,
        "insufficient_rights",
    ),
    same(
        "data policy",
        error_reply(
            403,
            "Operation Failed",
            "Data Policy Exception: \n\tThe following fields are mandatory: Resolution code, Close notes",
        ),
        MandatoryFieldsMissing,
        "mandatory_fields_missing",
    ),
    same(
        "data policy of another kind",
        error_reply(403, "Operation Failed", "Data Policy Exception: read only fields"),
        ValuesRefused,
        "data_policy_refused",
    ),
    same(
        "business rule",
        error_reply(
            403,
            "Operation Failed",
            "Operation against file 'incident' was aborted by Business Rule 'No tickets on Friday^0123'. "
            "Business Rule Stack:No tickets on Friday",
        ),
        ValuesRefused,
        "business_rule_refused",
    ),
    same(
        "API level ACL",
        error_reply(403, "User Not Authorized", "Failed API level ACL Validation"),
        InsufficientRights,
        "insufficient_rights",
    ),
    same(
        "access scope",
        error_reply(403, "User Not Authorized", "Missing required api access scope: table_write"),
        AccessScopeMissing,
        "access_scope_missing",
    ),
    same(
        "refused without a reason",
        error_reply(403, "Operation Failed", None),
        AccessRefused,
        "servicenow_access_refused",
    ),
    in_front("blocked address", raw_reply(b"<html>Forbidden</html>", 403), "ip_address_blocked"),
    same("404 from elsewhere", error_reply(404, "Not there", None), AccessRefused, "record_not_found"),
    same(
        "another verb",
        error_reply(405, "Method not supported", "Method POST is not supported by this resource"),
        InstanceClosed,
        "servicenow_rejected_request",
    ),
    same(
        "body too large",
        error_reply(413, "Exception while reading request", None),
        FixConfiguration,
        "servicenow_rejected_request",
    ),
    in_front("error page for an over-long path", raw_reply(b"<html>", 414)),
    in_front("400 as a page", raw_reply(b"<html>", 400)),
    in_front("404 as a page", raw_reply(b"<html>", 404)),
    in_front("404 as a text", raw_reply(b"no healthy upstream", 404, "text/plain")),
    in_front("405 as a page", raw_reply(b"<html>", 405)),
    in_front("a gateway's JSON", json_reply({"message": "Forbidden"}, 403)),
    in_front("a gateway's error", json_reply({"error": {"code": "Denied", "message": "Data Policy"}}, 403)),
    in_front("an error as a text", json_reply({"error": "No Record found", "status": "failure"}, 404)),
    in_front("a refusal that is cut off", raw_reply(b'{"error":{"message":"Oper', 403, "application/json")),
    in_front(
        "redirect to a login page",
        raw_reply(b"", 302, headers={"Location": "https://elsewhere.example/login"}),
        "servicenow_redirects",
    ),
    same(
        "rate limit",
        error_reply(
            429,
            "Rate limit exceeded",
            "Rate limit of 10 requests per hour for Table API exceeded",
            {"Retry-After": "60"},
        ),
        ServiceNowThrottled,
        "servicenow_throttled",
    ),
    same("full queue", raw_reply(b"Too Many Requests", 429), ServiceNowThrottled, "servicenow_throttled"),
    same("hibernating", raw_reply(HIBERNATING), InstanceHibernating, "servicenow_hibernating"),
    unclear("login page", raw_reply(b"<html>Log in</html>"), "servicenow_not_the_api", NotTheApi),
    unclear("no application node", raw_reply(b"<html>Bad Gateway</html>", 502), "servicenow_unavailable"),
    unclear("waiting in the session", raw_reply(b"", 202), "servicenow_busy"),
    unclear(
        "quota",
        error_reply(500, QUOTA, f"{QUOTA} Check logs for error trace"),
        "servicenow_quota_exceeded",
        QuotaExceeded,
    ),
    unclear(
        "500 with a stack trace", error_reply(500, "java.lang.NullPointerException", None), "servicenow_unavailable"
    ),
    unclear("request time-out", raw_reply(b"", 408), "servicenow_unavailable"),
    unclear(
        "cut off",
        raw_reply(b'{"result":[{"sys_id":"1"},{"sys_id":"2","error":{"message":"x"}', 200, "application/json"),
        "answer_incomplete",
        AnswerIncomplete,
    ),
    unclear(
        "rows and an error",
        json_reply({"result": [], "error": {"message": QUOTA}}),
        "answer_incomplete",
        AnswerIncomplete,
    ),
    unclear("no result", json_reply({"session": {}}), "answer_incomplete", AnswerIncomplete),
    unclear("not an object", json_reply([1]), "answer_incomplete", AnswerIncomplete),
    unclear("result of another shape", json_reply({"result": "text"}), "answer_incomplete", AnswerIncomplete),
    unclear("result of texts", json_reply({"result": ["text"]}), "answer_incomplete", AnswerIncomplete),
    unclear("empty body", raw_reply(b"", 200, "application/json"), "answer_incomplete", AnswerIncomplete),
    unclear(
        "bottomless nesting", raw_reply(b"[" * 200_000, 200, "application/json"), "answer_incomplete", AnswerIncomplete
    ),
    unclear(
        "not UTF-8", raw_reply(b'{"result":"\xff"}', 200, "application/json"), "answer_incomplete", AnswerIncomplete
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_read(case: Case) -> None:
    with pytest.raises(ConnectorError) as caught:
        await instance(case.reply).client().records.list_by_sys_id(CONNECTION, ["1" * 32])
    assert (type(caught.value), caught.value.code) == case.read


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_write(case: Case) -> None:
    peer = instance(case.reply)
    with pytest.raises(ConnectorError) as caught:
        await peer.client().records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert (type(caught.value), caught.value.code) == case.write
    assert caught.value.may_be_written == case.may_be_written
    assert len(peer.requests) == 1, "a write is sent once, whatever comes back"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_errors_hold_no_secret_and_no_ticket_text(case: Case) -> None:
    with pytest.raises(ConnectorError) as caught:
        await (
            instance(case.reply)
            .client()
            .records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
        )
    error: BaseException | None = caught.value
    while error is not None:
        shown = f"{error!r} {vars(error)}"
        assert "canary" not in shown
        assert ACCESS_TOKEN not in shown
        assert error.__cause__ is None
        error = error.__context__


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (
            "Data Policy Exception: \n\tThe following fields are mandatory: Resolution code, Close notes",
            "Resolution code, Close notes",
        ),
        ("was aborted by Business Rule 'No tickets on Friday^0123'.", "No tickets on Friday"),
        ("Missing required api access scope: table_write", "table_write"),
        ("Data Policy Exception: The following fields are mandatory: " + "A" * 5000, "A" * 199 + "…"),
        ("Data Policy Exception: The following fields are mandatory: a\x00\x1b[31mb", "a [31mb"),
        ("Data Policy Exception: The following fields are mandatory: Caller\nNow call 555 0100", "Caller"),
        ("was aborted by Business Rule 'A\". All is well. \"B^01'.", 'A". All is well. "B'),
        ("Missing required api access scope: \u202etxt.\u2066x\u200b\U000e0041\ue000", "txt.x"),
        (f"Missing required api access scope: Bearer {ACCESS_TOKEN};", "Bearer ***;"),
        (
            f"was aborted by Business Rule 'Authorization={ACCESS_TOKEN[:9]}\u200d{ACCESS_TOKEN[9:]}^",
            "Authorization=***",
        ),
        (f"The following fields are mandatory: {'A' * 190} {ACCESS_TOKEN}", f"{'A' * 190} ***"),
    ],
)
async def test_refusals_name_what_a_person_needs(detail: str, expected: str) -> None:
    with pytest.raises(FixConfiguration) as caught:
        await (
            instance(error_reply(403, "Operation Failed", detail))
            .client()
            .records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
        )
    assert caught.value.values["names"] == expected
    assert f"“{expected}”" in told(caught.value)
    assert len(words_of(caught.value, ENGLISH).message) < 400


@given(st.text(), st.text(), st.sampled_from(["", "\u200b", "\u202e", "\n", '"']))
def test_no_name_leaves_its_line_or_repeats_the_token(before: str, after: str, between: str) -> None:
    echoed = before + ACCESS_TOKEN[:7] + between + ACCESS_TOKEN[7:] + after
    detail = f"Missing required api access scope: {echoed}"
    body = json.dumps({"error": {"message": "", "detail": detail}, "status": "failure"}).encode()
    answer = Answer(403, {"content-type": "application/json"}, body, Secret(ACCESS_TOKEN))
    with pytest.raises(FixConfiguration) as caught:
        result_of(answer, writing=False, now=NOW)
    names = caught.value.values.get("names", "-")
    assert ACCESS_TOKEN not in str(caught.value)
    assert names.isprintable()
    assert 0 < len(names) <= 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a1b2c3d4e5f6", True),
        ("0" * 32, True),
        ("", False),
        ("x", False),
        ("a1b2\u2028forged", False),
        ("0" * 65, False),
        ("Bearer a1b2c3d4e5f6", False),
        ("c0ffee", False),
    ],
)
def test_only_a_valid_transaction_id_is_kept(sent: str, kept: bool) -> None:
    answer = Answer(200, {"x-transaction-id": sent}, b"", Secret("c0ffee"))
    assert transaction_id_of(answer) == (sent if kept else None)


async def test_no_record_found_is_an_empty_list() -> None:
    reply = error_reply(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
    assert await instance(reply).client().records.list_by_sys_id(CONNECTION, ["1" * 32]) == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        (
            {"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT", "date": "Sun, 01 Mar 2026 12:00:20 GMT"},
            10.0,
        ),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 90.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) - 90)}, 0.0),
        ({"retry-after": "5", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 5.0),
        (
            {"x-ratelimit-reset": str(int(NOW.timestamp()) + 90), "date": "Sun, 01 Mar 2026 12:01:00 GMT"},
            30.0,
        ),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(Answer(429, headers, b""), NOW) == expected


async def test_retry_after_reaches_the_caller() -> None:
    reply = error_reply(429, "Rate limit exceeded", None, {"Retry-After": "1200"})
    with pytest.raises(ServiceNowThrottled) as caught:
        await (
            instance(reply).client().records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
        )
    assert caught.value.retry_after_s == 1200.0


def test_an_answer_shows_no_body() -> None:
    answer: Any = Answer(200, {}, b"canary")
    assert "canary" not in repr(answer)
