"""Rows of the previous release and of a made-up next one: both are normal, in either direction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.directory import SyncState
from shared.connections.fixed_fields import MOST_FIXED_FIELDS, FixedField
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    Grant,
    KindSettings,
    LastError,
    OutcomeNotes,
    OutcomePolicy,
    Portal,
    TicketKind,
)
from shared.connections.ports import AuthorizationTarget
from shared.errors import MandatoryFieldsMissing, RowUnreadable
from shared.storage.authorizations import _authorization
from shared.storage.connections import connection_of, connection_row, sync_state_of, sync_state_row
from shared.storage.idempotency import _reservation
from shared.storage.rows import RowReader, open_value
from shared.storage.ticket_rows import (
    is_summary_change_known,
    summary_change_of,
    summary_change_row,
    summary_of,
    summary_row,
    ticket_of,
    ticket_row,
)
from shared.tickets.deliver import failed
from shared.tickets.identity import creation_time_of, new_ticket_id
from shared.tickets.model import EventKind, Phase, Ticket
from shared.tickets.outcomes import Outcome, RecommendationOutcome, Verification
from shared.tickets.summary import SummaryChange
from shared.tickets.timeline import with_event
from shared.tickets.views import ticket_detail_view
from shared.web.timeline import event_words
from shared.words.error_words import words_of
from shared.words.language import languages
from tests.memory.clock import START, ManualClock
from tests.releases.release_0_1 import connection_rows as old_connections
from tests.releases.release_0_1 import ticket_rows as old_tickets
from tests.releases.release_0_1.connection_model import TicketKind as OldKind
from tests.releases.release_0_1.summary import Summary as OldSummary
from tests.releases.stored_rows import StoredRow, of_the_next_release, read_rows
from tests.unit.tickets.examples import CONNECTION_ID, delivered_ticket, new_ticket
from tests.unit.tickets.strategies import failures, moments, texts, tickets, words

ROWS = read_rows("rows_of_release_0_1.json")


def ticket_from(row: Any) -> Ticket:
    return ticket_of(row, "etag")


def decoders(table: str, row: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Return the reader of such a row; None for a row with only its keys."""
    match table, row["RowKey"]:
        case "connections", "connection":
            return connection_of
        case "connections", "sync":
            return sync_state_of
        case "authorizations", _:
            return _authorization
        case "idempotency", _:
            return _reservation
        case "tickets", "summary":
            return summary_of
        case "tickets", key if key.startswith("summary:"):
            return summary_change_of
        case "tickets", key if ":" not in key:
            return ticket_from
    return None


READ = [(table, row, decode) for table, rows in ROWS.items() for row in rows if (decode := decoders(table, row))]

EVERY_ROW = pytest.mark.parametrize(
    ("table", "row", "decode"), READ, ids=[f"{table}-{number}" for number, (table, _, _) in enumerate(READ)]
)


def test_every_kind_of_row_is_in_the_file() -> None:
    assert {decode for _, _, decode in READ} == {
        connection_of,
        sync_state_of,
        _authorization,
        _reservation,
        summary_of,
        summary_change_of,
        ticket_from,
    }


# The previous release


def test_connections_of_the_release_before_are_read() -> None:
    for row in (row for _, row, decode in READ if decode is connection_of):
        old, new = old_connections.connection_of(row), connection_of(row)
        for name in ("connection_id", "display_name", "instance", "client_id", "integration_user", "portals", "status"):
            assert getattr(new, name) == getattr(old, name)
        for kind, kept in old.kinds.items():
            assert new.kinds[TicketKind(kind)].state_names == kept.state_names
        assert (new.last_error is None) == (old.last_error is None)
        assert connection_row(new).items() >= dict(row).items()


def test_tickets_of_the_release_before_are_read_and_written_back_as_they_are() -> None:
    for row in (row for _, row, decode in READ if decode is ticket_from):
        assert ticket_row(ticket_from(row)) == row
        assert len(ticket_from(row).timeline) == len(old_tickets.ticket_of(row, None).timeline)


def test_the_release_before_keeps_the_counts_of_outcomes() -> None:
    items = (RecommendationOutcome("0" * 36, "0" * 32, outcome=Outcome.WAITING),)
    ticket = replace(delivered_ticket(START), verification=Verification(START, items))
    change = SummaryChange.between([(None, ticket)])
    of_old = old_tickets.summary_change_of(summary_change_row(CONNECTION_ID, "0", change))
    folded = OldSummary().plus([of_old]).folded(START)
    stored = summary_of(old_tickets.summary_row(CONNECTION_ID, folded))
    assert stored.outcome_counts(ticket.content.kind)[Outcome.WAITING] == 1


def test_counts_of_the_release_before_are_read() -> None:
    for row in (row for _, row, decode in READ if decode is summary_of):
        assert summary_of(row).cells == old_tickets.summary_of(row).cells
        assert summary_of(row).due == old_tickets.summary_of(row).due


@given(tickets())
def test_the_release_before_reads_any_ticket(ticket: Ticket) -> None:
    old = old_tickets.ticket_of(ticket_row(ticket), None)
    assert old.content.name == ticket.content.name
    assert old.delivery.status.value == ticket.delivery.status.value
    assert (old.phase and old.phase.value) == (ticket.phase and ticket.phase.value)
    if ticket.record is not None:
        assert old.record is not None
        assert old.record.number == ticket.record.number


def test_the_release_before_shows_in_english_why_a_ticket_was_refused() -> None:
    named = MandatoryFieldsMissing(variant="named", names="Category")
    ticket = failed(new_ticket(START), named, START, unknown=False)
    row = ticket_row(ticket)
    assert json.loads(row["error_values"]) == named.values
    old = old_tickets.ticket_of(row, None)
    said = "A data policy in ServiceNow requires fields that the ticket does not have: “Category”."
    assert (old.delivery.error_message, old.timeline[-1].details["message"]) == (said, said)
    assert (old.delivery.next_step or "").startswith("Give them a value")
    read = ticket_of(row, None)
    assert (read.delivery.failure, read.timeline[-1].failure) == (named.failure, named.failure)
    for language in languages().values():
        view = ticket_detail_view(read, None, START, language)
        assert view.delivery.error == view.timeline[-1].details["message"] == words_of(named, language).message


def test_what_the_release_before_said_of_a_refusal_is_said_in_every_language() -> None:
    said = {"code": "business_rule_refused", "message": "A business rule in ServiceNow refuses the ticket: No Fridays."}
    row = ticket_row(new_ticket(START)) | {
        "error_code": said["code"],
        "error_message": said["message"],
        "next_step": "Look the business rule up.",
        "timeline": json.dumps([["delivery_failed", START.isoformat(), said]]),
    }
    ticket = ticket_of(row, None)
    written = ticket_row(ticket)
    assert written["error_message"] == said["message"]
    assert json.loads(written["timeline"]) == json.loads(row["timeline"])
    for t in languages().values():
        expected = t("error.business_rule_refused.named.message", names="No Fridays")
        view = ticket_detail_view(ticket, None, START, t)
        assert view.delivery.error == view.timeline[-1].details["message"] == expected


def test_the_release_before_reads_a_ticket_to_which_everything_has_happened() -> None:
    ticket = ticket_from(next(row for _, row, decode in READ if decode is ticket_from))
    begins_at = ticket.timeline[-1].at
    for number, kind in enumerate(EventKind):
        ticket = with_event(ticket, kind, begins_at + timedelta(seconds=number), message="…")
    old = old_tickets.ticket_of(ticket_row(ticket), None)
    assert old.timeline[0].kind.value == "created"
    assert ticket_of(ticket_row(ticket), None) == ticket


kind_settings = st.builds(
    KindSettings,
    default_caller=st.none() | st.just("0" * 32),
    not_fixed=st.sampled_from(OutcomePolicy),
    regressed=st.sampled_from(OutcomePolicy),
    not_done_codes=st.none() | st.lists(texts).map(tuple),
    fixed_fields=st.lists(
        st.builds(FixedField, st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True), texts, st.none() | texts),
        unique_by=lambda each: each.column,
    ).map(tuple),
)
connections = st.builds(
    Connection,
    connection_id=st.just("contoso"),
    display_name=texts,
    instance=words,
    client_id=words,
    integration_user=words,
    portals=st.lists(st.sampled_from(Portal), unique=True).map(tuple),
    kinds=st.fixed_dictionaries(dict.fromkeys(TicketKind, kind_settings)),
    outcome_notes=st.sampled_from(OutcomeNotes),
    grant=st.sampled_from(Grant),
    second_factor_holder=st.none() | texts,
    shares_requester=st.booleans(),
    language=st.sampled_from([*languages(), "a language of another release"]),
    record_names=st.dictionaries(st.just("0" * 32), words),
    time_zone=words,
    status=st.sampled_from(ConnectionStatus),
    consented_at=st.none() | moments,
    last_error=st.none() | st.builds(LastError, failures, moments),
)


@given(connections)
def test_the_release_before_reads_any_connection(connection: Connection) -> None:
    row = StoredRow(connection_row(connection))
    old = old_connections.connection_of(row)
    if connection.last_error is None:
        assert old.last_error is None
    else:
        assert old.last_error is not None
        assert old.last_error.message
        assert connection_of(row).last_error == connection.last_error
    assert (old.display_name, old.status.value) == (connection.display_name, connection.status.value)
    assert [portal.value for portal in old.portals] == [portal.value for portal in connection.portals]
    assert set(old.kinds) == set(OldKind)
    read = connection_of(row)
    assert replace(read, kept={}, last_error=None) == replace(connection, last_error=None)


def test_fixed_fields_that_were_removed_do_not_come_back() -> None:
    row = next(row for _, row, decode in READ if decode is connection_of)
    fixed = {TicketKind.INCIDENT: KindSettings(fixed_fields=(FixedField("cmdb_ci", "a" * 32),))}
    stored = connection_of(StoredRow(connection_row(replace(connection_of(row), kinds=fixed))))
    without = replace(stored, kinds={TicketKind.INCIDENT: KindSettings()})
    assert connection_of(StoredRow(connection_row(without))).kinds[TicketKind.INCIDENT].fixed_fields == ()


def test_a_row_holds_as_many_and_as_long_fixed_fields_as_a_request_may_have() -> None:
    row = next(row for _, row, decode in READ if decode is connection_of)
    values = ("x" * 4000, "\n" * 4000, "😀" * 4000)
    fields = tuple(FixedField(f"u_{number}", values[number % 3], "名" * 200) for number in range(MOST_FIXED_FIELDS))
    wanted = replace(
        connection_of(row), kinds={kind: KindSettings(enabled=False, fixed_fields=fields) for kind in TicketKind}
    )
    written = connection_row(wanted)
    lengths = [len(text.encode("utf-16-le")) // 2 for text in written.values() if isinstance(text, str)]
    assert max(lengths) <= 32_768, "what a property can hold"
    assert sum(lengths) * 2 < 1_000_000, "what a row can hold"
    assert connection_of(StoredRow(written)).kinds == wanted.kinds
    none = replace(connection_of(StoredRow(written)), kinds={kind: KindSettings() for kind in TicketKind})
    assert not [name for name in connection_row(none) if name.startswith("fixed_fields_")]
    assert old_connections.connection_of(StoredRow(written)).display_name == wanted.display_name


def test_the_release_before_reads_a_connection_with_a_kind_that_it_does_not_know() -> None:
    row = next(row for _, row, decode in READ if decode is connection_of)
    connection = connection_of(row)
    later = open_value(TicketKind, "later_kind")
    written = StoredRow(connection_row(replace(connection, kinds={**connection.kinds, later: KindSettings()})))
    assert old_connections.connection_of(written) == old_connections.connection_of(row)
    assert json.loads(written["later_kinds"])["later_kind"]["enabled"] is True


@given(st.builds(SyncState, watermark=st.none() | words, last_started_at=st.none() | moments))
def test_the_release_before_reads_any_sync_state(state: SyncState) -> None:
    old = old_connections.sync_state_of(StoredRow(sync_state_row("contoso", state)))
    assert (old.watermark, old.last_started_at) == (state.watermark, state.last_started_at)


def test_an_authorization_of_the_release_before_does_not_say_what_it_is_for() -> None:
    [row] = [row for _, row, decode in READ if decode is _authorization]
    assert _authorization(row).target is None
    target = {"instance": "https://contoso.service-now.com", "client_id": "client", "integration_user": "user"}
    assert _authorization(StoredRow({**row, **target})).target == AuthorizationTarget(**target)
    for missing in target:
        assert _authorization(StoredRow({**row, **target, missing: 7})).target is None


# The next release


@EVERY_ROW
def test_rows_of_the_next_release_are_read(table: str, row: StoredRow, decode: Callable[[Any], Any]) -> None:
    reader = RowReader(ManualClock())
    assert reader.read(table, of_the_next_release(row), decode) is not None
    assert reader.unreadable == ()


def test_what_the_next_release_wrote_to_a_connection_is_kept() -> None:
    for row in (row for _, row, decode in READ if decode is connection_of):
        read = of_the_next_release(row)
        written = connection_row(replace(connection_of(read), display_name="changed"))
        assert written == {**written, "display_name": "changed", "of_the_next_release": "kept"}
        assert written["status"] == read["status"]
        for column in ("kinds", "later_kinds"):
            assert json.loads(written[column]).items() >= json.loads(read[column]).items()
        assert json.loads(written["portals"]) == json.loads(read["portals"])


def test_an_administrator_changes_only_what_this_release_knows() -> None:
    read = connection_of(of_the_next_release(next(row for _, row, decode in READ if decode is connection_of)))
    assert set(read.kinds) == set(TicketKind)
    written = connection_row(
        replace(read, portals=(Portal.SECURITY,), kinds={kind: KindSettings(category="new") for kind in TicketKind})
    )
    assert json.loads(written["portals"]) == ["security", "next_portal"]
    assert json.loads(written["later_kinds"])["next_kind"] == {"enabled": True}
    kinds = json.loads(written["kinds"])
    assert (kinds["change"]["category"], kinds["change"]["next_member"]) == ("new", [1])


def test_what_the_next_release_decides_about_closed_tickets_is_kept_until_an_administrator_decides_otherwise() -> None:
    row = next(row for _, row, decode in READ if decode is connection_of)
    policies = {
        "incident": {"not_fixed": "next_policy", "not_done_codes": ["Duplicate"], "next_member": [1]},
        "next_kind": {"regressed": "reopen"},
    }
    stored = {**row, "outcome_policies": json.dumps(policies), "outcome_notes": "next_place"}
    read = connection_of(StoredRow(stored))
    written = connection_row(replace(read, display_name="changed"))
    assert (json.loads(written["outcome_policies"]), written["outcome_notes"]) == (policies, "next_place")
    usual = replace(read, kinds={kind: KindSettings() for kind in TicketKind})
    assert json.loads(connection_row(usual)["outcome_policies"]) == {
        "incident": {"next_member": [1]},
        "next_kind": {"regressed": "reopen"},
    }


def test_what_the_next_release_wrote_to_a_sync_state_is_kept() -> None:
    row = of_the_next_release(next(row for _, row, decode in READ if decode is sync_state_of))
    state = sync_state_of(row)
    assert sync_state_row("contoso", replace(state, watermark=None))["of_the_next_release"] == "kept"
    assert sync_state_row("contoso", state) == row


def test_what_the_next_release_wrote_to_a_ticket_is_kept() -> None:
    for row in (row for _, row, decode in READ if decode is ticket_from):
        read = of_the_next_release(row)
        ticket = with_event(ticket_from(read), EventKind.RETRIED, START)
        written = ticket_row(ticket)
        assert {name: written[name] for name in read if name not in {"timeline", "open"}} == {
            name: value for name, value in read.items() if name not in {"timeline", "open"}
        }
        again = ticket_of(written, None)
        assert [event.kind.value for event in again.timeline].count("next_event") == 1
        assert len(again.timeline) == len(ticket.timeline)


def test_a_ticket_of_the_next_release_is_shown_and_not_sent() -> None:
    t = languages()["en"]
    for row in (row for _, row, decode in READ if decode is ticket_from):
        ticket = ticket_from(of_the_next_release(row))
        assert not ticket.is_sendable
        view = ticket_detail_view(ticket, None, START, t)
        assert view.model_dump(mode="json")["kind"].startswith("next_")
        assert t.named("kind", view.kind).startswith("next_")
        words = [event_words(event, t, state_names={}, time_zone="UTC", titles={}) for event in ticket.timeline]
        assert any("next_event" in line for line in words)


def test_counts_that_the_next_release_keeps_are_not_folded_away() -> None:
    change = next(row for _, row, decode in READ if decode is summary_change_of)
    assert is_summary_change_known(change)
    assert not is_summary_change_known(of_the_next_release(change))
    assert not is_summary_change_known(StoredRow(change) | {"cells": "[[1, 2, 3, 4]]"})
    summary = of_the_next_release(next(row for _, row, decode in READ if decode is summary_of))
    assert summary_row("contoso", summary_of(summary), beside=summary) == summary


def test_an_unknown_value_equals_no_member_and_stays_as_it_is() -> None:
    value = open_value(Phase, "next_phase")
    assert isinstance(value, Phase)
    assert value.value == "next_phase"
    assert value not in list(Phase)
    assert value == open_value(Phase, "next_phase")
    assert hash(value) == hash(open_value(Phase, "next_phase"))
    assert open_value(Phase, "new") is Phase.NEW
    with pytest.raises(ValueError, match="next_phase"):
        Phase("next_phase")


# Missing members

NEEDED = {"PartitionKey", "RowKey", "instance", "client_id", "kind", "cells"} | {
    *("connection_id", "code_challenge", "expires_at"),
    *("request_hash", "ticket_id"),
}
"""Without these a row has no meaning."""


@EVERY_ROW
def test_a_missing_member_is_normal(table: str, row: StoredRow, decode: Callable[[Any], Any]) -> None:
    reader = RowReader(ManualClock())
    for missing in row.keys() - NEEDED:
        if missing.startswith("due_") and missing[4:].isdecimal():
            continue  # a part of one packed value
        without = StoredRow({name: value for name, value in row.items() if name != missing})
        assert reader.read(table, without, decode) is not None, missing
    bare = StoredRow({name: value for name, value in row.items() if name in NEEDED})
    assert reader.read(table, bare, decode) is not None


def test_a_kind_that_is_missing_is_not_offered() -> None:
    row = next(row for _, row, decode in READ if decode is connection_of)
    changed = StoredRow({**row, "kinds": json.dumps({"incident": {"enabled": True}})})
    enabled = [kind for kind, settings in connection_of(changed).kinds.items() if settings.enabled]
    assert enabled == [TicketKind.INCIDENT]


def test_a_ticket_without_its_time_of_creation_has_that_of_its_id() -> None:
    ticket_id = new_ticket_id(START, "contoso")
    assert creation_time_of(ticket_id) == START
    row = next(row for _, row, decode in READ if decode is ticket_from)
    without = StoredRow({name: value for name, value in row.items() if name != "created_at"} | {"RowKey": ticket_id})
    assert ticket_from(without).created_at == START


# Rows that make no sense

NONSENSE = [None, "", "nonsense", "[1,", "[[1]]", "{}", '{"incident": 1}', 7, 1.5, True, b"\x00"]


@EVERY_ROW
def test_nonsense_in_a_row_is_read_or_told_and_never_more(
    table: str, row: StoredRow, decode: Callable[[Any], Any]
) -> None:
    reader = RowReader(ManualClock())
    for name in row.keys() - {"PartitionKey", "RowKey"}:
        for value in NONSENSE:
            try:
                reader.read(table, StoredRow({**row, name: value}), decode)
            except RowUnreadable as error:
                assert error.code == "row_unreadable"
                assert [each.row_key for each in reader.unreadable] == [row["RowKey"]]
    assert reader.read(table, row, decode) is not None
    assert reader.unreadable == (), "a repaired row is forgotten"


def test_one_unreadable_row_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    reader = RowReader(ManualClock())
    good = next(row for _, row, decode in READ if decode is connection_of)
    bad = StoredRow({**good, "RowKey": "connection", "PartitionKey": "broken", "kinds": "a secret"})
    for _ in range(2):
        assert len(reader.readable("connections", [bad, good], connection_of)) == 1
    [unreadable] = reader.unreadable
    assert (unreadable.table, unreadable.partition_key, unreadable.seen_at) == ("connections", "broken", START)
    assert caplog.text.count("row_unreadable") == 1
    assert "a secret" not in caplog.text
