"""What must be true after any schedule, when the faults have ended and time has passed."""

from __future__ import annotations

import json
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

from sandbox.world import table_service_headers
from tests.faults.schedule import KEYS, RECOMMENDATIONS
from tests.faults.two_hosts import RECOVERY_S, SMALL, TENANT, TwoHosts

_PHASES = {
    ("incident", "1"): "new",
    ("incident", "2"): "in_progress",
    ("incident", "3"): "on_hold",
    ("incident", "6"): "resolved",
    ("incident", "7"): "closed",
    ("incident", "8"): "canceled",
    ("change_request", "-5"): "new",
    **{("change_request", state): "in_progress" for state in ("-4", "-3", "-2", "-1", "0")},
    ("change_request", "3"): "closed",
    ("change_request", "4"): "canceled",
}
"""Phase by table and state."""
_OPEN = {"new", "in_progress", "on_hold"}
_KINDS = {"incident": "incident", "change_request": "change"}


def violations(there: TwoHosts) -> list[str]:
    """Let everything recover, and return what is wrong."""
    found = list(there.surprises)
    for seconds in RECOVERY_S:
        there.pass_time(seconds)
        there.run_timers()
    found += _consent(there)
    for key in range(KEYS):
        status = there.create(1 if key % 2 else 0, key)
        if status != httpx.codes.CREATED:
            found.append(f"key {key} is answered {status} after everything has recovered")
    there.run_timers()
    found += _tickets(there)
    found += _recommendations(there)
    found += _changes(there)
    found += _rows(there)
    found += _logs(there)
    return found


def _consent(there: TwoHosts) -> Iterator[str]:
    """The status is true of the consent; if the consent is gone, a new one works at once."""
    status, consent = there.status(), there.consent
    possible = {"connected"} if consent.lives else set()
    if not consent.lives:
        possible.add("reauthorization_required")
        if consent.may_live:
            possible.add("connected")
    if status not in possible:
        yield f"the connection is {status} and should be {' or '.join(sorted(possible))}"
    if status != "connected":
        if not there.authorize(0):
            yield "the connection cannot be authorized again"
        elif (status := there.status()) != "connected":
            yield f"the connection is {status} after it has been authorized"
        there.run_timers()
        # Only now is it known which tickets were closed, so their outcomes need readings after this.
        for seconds in RECOVERY_S:
            there.pass_time(seconds)
            there.run_timers()


def _tickets(there: TwoHosts) -> Iterator[str]:
    tickets = there.ask(f"/api/tickets?limit=200&connection={there.connected.connection_id}")["tickets"]
    records = there.records()
    by_ticket = {ticket["ticket_id"]: ticket for ticket in tickets}
    names = Counter(ticket["name"] for ticket in tickets)
    for key, told in there.told.items():
        if len(set(told)) > 1:
            yield f"key {key} was answered with several tickets: {sorted(set(told))}"
        if names[there.name_of(key)] != 1:
            yield f"key {key} has {names[there.name_of(key)]} tickets"
        for ticket_id in set(told) - by_ticket.keys():
            yield f"ticket {ticket_id} was accepted under key {key} and is lost"
    for record in records:
        if record["correlation_id"].removeprefix("m365:") not in by_ticket:
            yield f"record {record['number']} belongs to no ticket: {record['correlation_id']}"
    for ticket_id, ticket in by_ticket.items():
        mine = [record for record in records if record["correlation_id"] == f"m365:{ticket_id}"]
        if len(mine) != 1:
            yield f"ticket {ticket_id} has {len(mine)} records, its delivery is {ticket['delivery']}"
        elif difference := _difference(ticket, mine[0]):
            yield f"ticket {ticket_id} ({mine[0]['number']}): {difference}"
    yield from _counts(there, tickets)


def _difference(ticket: dict[str, Any], record: dict[str, str]) -> str | None:
    """Return the differences between a ticket and its record."""
    if ticket["delivery"]["status"] != "delivered":
        return f"its delivery is {ticket['delivery']}"
    table, state = record["sys_class_name"], record["state"]
    wanted = {"number": record["number"], "sys_id": record["sys_id"], "table": table, "state": state}
    wanted["phase"] = _PHASES[table, state]
    shown = {**ticket["servicenow"], "phase": ticket["phase"]}
    return ", ".join(f"{name} is {shown[name]}, not {value}" for name, value in wanted.items() if shown[name] != value)


def _counts(there: TwoHosts, tickets: list[dict[str, Any]]) -> Iterator[str]:
    counted = there.ask(f"/api/tickets/summary?connection={there.connected.connection_id}")["kinds"]
    for kind, counts in counted.items():
        mine = [ticket for ticket in tickets if ticket["kind"] == kind]
        real = Counter(ticket["phase"] for ticket in mine)
        wanted = {
            "open": sum(real[phase] for phase in _OPEN),
            "overdue": sum(ticket["overdue"] for ticket in mine),
            **{
                status: sum(ticket["delivery"]["status"] == status for ticket in mine)
                for status in ("pending", "failed")
            },
        }
        shown = {name: counts[name] for name in wanted}
        phases = {phase: count for phase, count in counts["phases"].items() if count}
        if shown != wanted or phases != {phase: count for phase, count in real.items() if phase is not None}:
            yield f"the counts of {kind} are {shown}, {phases}; they should be {wanted}, {dict(real)}"


def _recommendations(there: TwoHosts) -> Iterator[str]:
    """The tenant is read again, nothing is gone, and no recommendation has two open tickets."""
    tenant = there.ask(TENANT)
    if (tenant["status"], tenant["is_being_read"], tenant["last_error"]) != ("readable", False, None):
        yield f"the tenant is not read: {tenant}"
    listed = there.ask("/api/recommendations?hidden=true&limit=200")["recommendations"]
    if len(listed) != len(SMALL.maxima):
        yield f"there are {len(listed)} recommendations"
    for each in listed:
        if each["status"] == "gone":
            yield f"{each['source_id']} is gone since {each['gone_at']}"
    tickets = there.ask(f"/api/tickets?limit=200&connection={there.connected.connection_id}")["tickets"]
    phases = {ticket["ticket_id"]: ticket["phase"] for ticket in tickets}
    for key, told in there.recommended.items():
        shown = [ticket["ticket_id"] for ticket in there.ask(f"/api/recommendations/{key}")["tickets"]]
        if not set(told) <= set(shown):
            yield f"the tickets of {key} are {shown}; requests were answered with {told}"
        # A ticket that a policy reopens may have got a newer one in the meantime.
        if there.schedule.policy != "reopen" and sum(phases[each] in _OPEN for each in shown) > 1:
            yield f"{key} has more than one open ticket: {shown}"


type Event = tuple[str, str, dict[str, str]]
"""Kind, time and details, as stored."""


def _changes(there: TwoHosts) -> Iterator[str]:
    """Each change of a record happened once, each outcome was said once, and the evidence has every event once."""
    rows = _stored(there, "tickets")
    for row in rows:
        if row["RowKey"].startswith(("unread:", "unrecorded:")):
            yield f"a row of an index is left: {row['RowKey']}"
        if row["RowKey"].startswith("update:") and _members(row).get("status") != "refused":
            yield f"a change waits for ever: {row['RowKey']} {_members(row)}"
    tickets = {row["RowKey"]: row for row in rows if "timeline" in row}
    timelines = {ticket_id: _events(row) for ticket_id, row in tickets.items()}
    yield from _journals(there, tickets, timelines)
    yield from _policy(there, timelines)
    yield from _follow_ups(tickets, timelines)
    for ticket_id, events in timelines.items():
        yield from _outcomes(ticket_id, events)
    yield from _evidence(there, timelines)


def _events(row: dict[str, Any]) -> list[Event]:
    return [
        (kind, at, details)
        for column in ("timeline", "later_events")
        for kind, at, details in json.loads(row.get(column, "[]"))
    ]


def _journals(there: TwoHosts, tickets: dict[str, Any], timelines: dict[str, list[Event]]) -> Iterator[str]:
    """Every note that was sent has one entry, and what was accepted was sent, or is visible as uncertain or refused."""
    entries = there.app.control.records("sys_journal_field", f"sys_created_by={there.connected.user_name}", limit=1000)
    for ticket_id, row in tickets.items():
        mine = [each for each in entries if each["element_id"] == row.get("sys_id")]
        for kind, element in (("comment", "comments"), ("work_note", "work_notes")):
            count = sum(each["element"] == element for each in mine)
            ends = Counter(name for name, _, details in timelines[ticket_id] if details.get("update_kind") == kind)
            sent, uncertain = ends["update_sent"], ends["update_uncertain"]
            if not sent <= count <= sent + uncertain:
                yield f"ticket {ticket_id} has {count} {element}; {sent} were sent, and {uncertain} perhaps"
    for key, ticket_id in there.commented.items():
        texts = [each["value"] for each in entries if there.comment_of(key) in each["value"]]
        if len(texts) > 1:
            yield f"comment {key} of ticket {ticket_id} has {len(texts)} entries"
        if key in there.accepted and not texts:
            yield f"comment {key} of ticket {ticket_id} was accepted and is lost"


def _policy(there: TwoHosts, timelines: dict[str, list[Event]]) -> Iterator[str]:
    """The ticket that was closed on paper is not fixed, and the policy has done its part once."""
    [first] = list(there.recommended.values())[RECOMMENDATIONS]
    events = [(kind, details) for kind, _, details in timelines[first]]
    if sum(kind == "outcome" and details["outcome"] == "not_fixed" for kind, details in events) != 1:
        yield f"ticket {first} is not said to be not fixed: {events}"
    wanted = {"note_only": "work_note", "reopen": "reopen", "new_ticket": "follow_up"}[there.schedule.policy]
    if sum(kind == "update_asked" and details["update_kind"] == wanted for kind, details in events) != 1:
        yield f"the policy {there.schedule.policy} did not ask once for {wanted}: {events}"


def _follow_ups(tickets: dict[str, Any], timelines: dict[str, list[Event]]) -> Iterator[str]:
    """A follow-up has one event and one ticket."""
    events = [details for each in timelines.values() for kind, _, details in each if kind == "followed_up"]
    updates = Counter(details["update_id"] for details in events)
    if doubled := [update_id for update_id, count in updates.items() if count > 1]:
        yield f"follow-ups happened twice: {doubled}"
    named = sorted(details["follow_up_id"] for details in events if "follow_up_id" in details)
    made = sorted(key for key, row in tickets.items() if str(row.get("requester_id", "")).startswith("policy:"))
    if named != made:
        yield f"policies made {made}, and timelines name {named}"


def _outcomes(ticket_id: str, events: list[Event]) -> Iterator[str]:
    """No outcome is said twice in a row."""
    said: dict[str, tuple[str, str | None]] = {}
    for kind, at, details in sorted(events, key=lambda event: event[1]):
        if kind == "outcome":
            outcome = details["outcome"], details.get("reason")
            if said.get(details["key"]) == outcome:
                yield f"ticket {ticket_id} says {outcome} twice, the second time at {at}"
            said[details["key"]] = outcome
        elif kind == "state_changed":
            said.clear()  # Outcomes that follow from the ticket's state have no events.


def _evidence(there: TwoHosts, timelines: dict[str, list[Event]]) -> Iterator[str]:
    kept = Counter(
        (event["ticket_id"], event["kind"], event["at"], event["details"].get("key"))
        for row in _stored(there, "evidence")
        for event in _members(row)["events"]
        if event.get("ticket_id")
    )
    happened = Counter(
        (ticket_id, kind, at, details.get("key"))
        for ticket_id, events in timelines.items()
        for kind, at, details in events
    )
    for event, count in happened.items():
        if kept[event] != count:
            yield f"{event} happened {count} times, and is in the evidence {kept[event]} times"
    for event, count in kept.items():
        if count > 1 and event not in happened:
            yield f"{event} is in the evidence {count} times"


def _members(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a row of several text columns says."""
    texts = [row["members"], *(row[f"members_{number}"] for number in range(1, row.get("parts", 1)))]
    members: dict[str, Any] = json.loads("".join(texts))
    return members


def _rows(there: TwoHosts) -> Iterator[str]:
    """No lease, turn or hold of a tenant is left, and nothing waits."""
    for row in _stored(there, "connections"):
        if row["RowKey"].startswith("lease:"):
            yield f"a lease is left: {row['RowKey']} until {row.get('until_at')}"
    for row in _stored(there, "directory"):
        if row.get("holder"):
            yield f"a turn is left: {row['RowKey']} until {row.get('held_until_at')}"
    for row in _stored(there, "tickets"):
        if row["RowKey"].startswith("pending:"):
            yield f"a row of the outbox is left: {row['RowKey']}"
        if row.get("leased_until_at"):
            yield f"ticket {row['RowKey']} is leased until {row['leased_until_at']}"


def _stored(there: TwoHosts, table: str) -> list[dict[str, Any]]:
    """Return the stored rows of a table."""
    certificates = there.app.world.certificates
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = table_service_headers(certificates)
    answer = httpx.get(
        f"{there.app.account.tables_url}/{table}()", headers=headers, verify=trusted, trust_env=False, timeout=30
    )
    assert "x-ms-continuation-NextPartitionKey" not in answer.headers, "one page holds all of them"
    rows: list[dict[str, Any]] = answer.raise_for_status().json()["value"]
    return rows


def _logs(there: TwoHosts) -> Iterator[str]:
    """The product expects faults: it logs no unexpected error."""
    for host in (there.app.host, *there.app.others):
        for line in re.findall(r"^.*unexpected_error.*$", host.process.text(), re.MULTILINE):
            yield f"{host.process.name} logged {line}"
