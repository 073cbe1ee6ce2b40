"""Bad days: every fault of ServiceNow §10, item 12, for a write and for a read.

For a write, the error must also be true: if it says "nothing was written" while a record is in ServiceNow, the ticket
would be doubled. After "not known", the look-up must find the record.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.faults.kinds import KINDS
from shared.connections.model import Connection
from shared.errors import (
    AccessTokenRefused,
    AnswerEncoded,
    AnswerIncomplete,
    AnswerTooLarge,
    ConnectorError,
    InstanceClosed,
    InstanceHibernating,
    InsufficientRights,
    NoAnswerInTime,
    OutcomeUnknown,
    QuotaExceeded,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    ValuesRefused,
)
from tests.contract.servicenow.support import KIND_SETTINGS, new_ticket
from tests.fixtures.servicenow import ANY_TIME, WholeClient

SLOW = {"delay_s": 0.5}

WRITES: list[tuple[str, dict[str, Any], type[ConnectorError], str]] = [
    ("rate_limited", {}, ServiceNowThrottled, "servicenow_throttled"),
    ("rate_limited_bare", {}, ServiceNowThrottled, "servicenow_throttled"),
    ("queue_full", {}, ServiceNowThrottled, "servicenow_throttled"),
    ("cancelled_after_commit", {}, OutcomeUnknown, "outcome_unknown"),
    ("cancelled_before_commit", {}, OutcomeUnknown, "outcome_unknown"),
    ("cut_off_json", {}, OutcomeUnknown, "outcome_unknown"),
    ("hibernating", {}, InstanceHibernating, "servicenow_hibernating"),
    ("bad_gateway", {}, OutcomeUnknown, "outcome_unknown"),
    ("address_blocked", {}, InstanceClosed, "ip_address_blocked"),
    ("redirected", {}, InstanceClosed, "servicenow_redirects"),
    ("not_found_page", {}, InstanceClosed, "servicenow_not_the_api"),
    ("not_found_text", {}, InstanceClosed, "servicenow_not_the_api"),
    ("write_forbidden", {}, InsufficientRights, "insufficient_rights"),
    ("unauthorized", {}, InsufficientRights, "insufficient_rights"),
    ("slow", SLOW, OutcomeUnknown, "outcome_unknown"),
    ("reset_before_commit", {}, OutcomeUnknown, "outcome_unknown"),
    ("reset_after_commit", {}, OutcomeUnknown, "outcome_unknown"),
    ("unauthenticated", {}, AccessTokenRefused, "access_token_refused"),
    ("huge_body", {}, OutcomeUnknown, "outcome_unknown"),
    ("huge_body", {"encoding": "gzip"}, OutcomeUnknown, "outcome_unknown"),
    ("encoded", {"encoding": "gzip, gzip"}, OutcomeUnknown, "outcome_unknown"),
    ("encoded", {"encoding": "br"}, OutcomeUnknown, "outcome_unknown"),
    ("echoed_authorization", {}, ValuesRefused, "business_rule_refused"),
    ("html_as_json", {}, OutcomeUnknown, "outcome_unknown"),
    ("accepted", {}, OutcomeUnknown, "outcome_unknown"),
    ("accepted", {"runs": True}, OutcomeUnknown, "outcome_unknown"),
]

READS: list[tuple[str, dict[str, Any], type[ConnectorError], str, bool]] = [
    ("rate_limited", {}, ServiceNowThrottled, "servicenow_throttled", False),
    ("rate_limited", {"retry_after_s": 0}, ServiceNowThrottled, "servicenow_throttled", True),
    ("rate_limited_bare", {}, ServiceNowThrottled, "servicenow_throttled", False),
    ("queue_full", {}, ServiceNowThrottled, "servicenow_throttled", False),
    ("cancelled_before_commit", {}, QuotaExceeded, "servicenow_quota_exceeded", False),
    ("cancelled_after_commit", {}, QuotaExceeded, "servicenow_quota_exceeded", False),
    ("cut_off_json", {"rows": 1}, AnswerIncomplete, "answer_incomplete", True),
    ("hibernating", {}, InstanceHibernating, "servicenow_hibernating", False),
    ("bad_gateway", {}, ServiceNowUnavailable, "servicenow_unavailable", True),
    ("address_blocked", {}, InstanceClosed, "ip_address_blocked", False),
    ("redirected", {}, InstanceClosed, "servicenow_redirects", False),
    ("not_found_page", {}, InstanceClosed, "servicenow_not_the_api", False),
    ("not_found_text", {}, InstanceClosed, "servicenow_not_the_api", False),
    ("unauthorized", {}, InsufficientRights, "insufficient_rights", False),
    ("slow", SLOW, NoAnswerInTime, "servicenow_timeout", False),
    ("reset_before_commit", {}, ServiceNowUnavailable, "servicenow_unavailable", True),
    ("reset_after_commit", {}, ServiceNowUnavailable, "servicenow_unavailable", True),
    ("unauthenticated", {}, AccessTokenRefused, "access_token_refused", False),
    ("huge_body", {}, AnswerTooLarge, "answer_too_large", False),
    ("huge_body", {"encoding": "gzip"}, AnswerTooLarge, "answer_too_large", False),
    ("huge_body", {"encoding": "gzip, gzip"}, AnswerEncoded, "answer_encoded", False),
    ("encoded", {"encoding": "gzip, gzip"}, AnswerEncoded, "answer_encoded", False),
    ("encoded", {"encoding": "deflate"}, AnswerEncoded, "answer_encoded", False),
    ("echoed_authorization", {}, ValuesRefused, "business_rule_refused", False),
    ("html_as_json", {}, AnswerIncomplete, "answer_incomplete", True),
    ("accepted", {}, ServiceNowUnavailable, "servicenow_busy", True),
]

ELSEWHERE = {
    "cancelled_for_count",
    "cancelled_for_size",
    "empty_page",
    "empty_refresh_token",
    "endless_count",
    "hostile_values",
    "token_refused",
    "token_refused_page",
    "unauthenticated_bearer",
    "unauthenticated_oauth",
}
"""Tested elsewhere: with OAuth, delivery and changes."""


async def count(control: ControlClient, request: str, expected: int) -> int:
    """Return the number of such requests, after all pending ones have ended."""
    for _ in range(1500):
        if (counted := control.request_counts().get(request, 0)) >= expected:
            break
        await asyncio.sleep(0.02)
    return counted


def test_every_fault_is_here() -> None:
    assert {kind for kind, *_ in WRITES} | ELSEWHERE == set(KINDS)
    assert {kind for kind, *_ in READS} | ELSEWHERE | {"write_forbidden"} == set(KINDS)


@pytest.mark.parametrize(("kind", "options", "error", "code"), WRITES)
async def test_write(
    kind: str,
    options: dict[str, Any],
    error: type[ConnectorError],
    code: str,
    client: WholeClient,
    impatient_client: WholeClient,
    connection: Connection,
    control: ControlClient,
) -> None:
    control.set_fault(kind, method="POST", **{"remaining": 1, **options})
    ticket = new_ticket()
    with pytest.raises(error) as caught:
        await (impatient_client if kind == "slow" else client).records.create_record(
            connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME
        )
    assert (type(caught.value), caught.value.code) == (error, code)
    assert client.tokens.token.reveal() not in f"{caught.value!r} {vars(caught.value)}"
    assert await count(control, "POST /api/now/table/incident", 1) == 1, "a write is never repeated"

    there = control.records("incident", f"correlation_id={ticket.correlation_id}")
    if error is not OutcomeUnknown:
        assert there == [], "the error said that nothing was written"
    found = await client.records.find_records(
        connection, "incident", sys_id=ticket.ticket_id, correlation_id=ticket.correlation_id
    )
    assert [record.sys_id for record in found] == [row["sys_id"] for row in there]
    if not found:
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert len(control.records("incident", f"correlation_id={ticket.correlation_id}")) == 1


@pytest.mark.parametrize(("kind", "options", "error", "code", "repeated"), READS)
async def test_read(
    kind: str,
    options: dict[str, Any],
    error: type[ConnectorError],
    code: str,
    repeated: bool,
    client: WholeClient,
    impatient_client: WholeClient,
    connection: Connection,
    control: ControlClient,
) -> None:
    tickets = [new_ticket(), new_ticket()]
    for ticket in tickets:
        await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    sys_ids = [ticket.ticket_id for ticket in tickets]
    control.clear_requests()

    under_test = impatient_client if kind == "slow" else client
    control.set_fault(kind, method="GET", **{"remaining": None, **options})
    with pytest.raises(error) as caught:
        await under_test.records.list_by_sys_id(connection, sys_ids)
    assert (type(caught.value), caught.value.code) == (error, code)
    assert client.tokens.token.reveal() not in f"{caught.value!r} {vars(caught.value)}"
    attempts = 3 if repeated else 1
    assert await count(control, "GET /api/now/table/task", attempts) == attempts

    control.clear_faults()
    control.set_fault(kind, method="GET", **{"remaining": 1, **options})
    if repeated:
        assert len(await under_test.records.list_by_sys_id(connection, sys_ids)) == 2, "the second attempt succeeds"
    else:
        with pytest.raises(error):
            await under_test.records.list_by_sys_id(connection, sys_ids)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip, identity"])
async def test_one_layer_of_gzip_is_an_ordinary_answer(
    client: WholeClient, connection: Connection, control: ControlClient, encoding: str
) -> None:
    control.set_fault("encoded", encoding=encoding, remaining=None)
    ticket = new_ticket()
    await client.records.create_record(connection, ticket, KIND_SETTINGS, None, send_by=ANY_TIME)
    assert len(await client.records.list_by_sys_id(connection, [ticket.ticket_id])) == 1


async def test_an_instance_that_is_not_there(client: WholeClient, connection: Connection) -> None:
    nowhere = replace(connection, instance="http://127.0.0.1:9")
    with pytest.raises(ServiceNowUnavailable) as caught:
        await client.records.create_record(nowhere, new_ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)
    assert caught.value.code == "servicenow_unavailable", "nothing was sent, so nothing was written"
