"""Arbitrary tickets and what happens to them."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import get_args

from hypothesis import strategies as st

from shared.connections.model import Portal, TicketKind
from shared.error_codes import Code
from shared.errors import Failure
from shared.tickets.model import (
    Delivery,
    DeliveryProgress,
    EventKind,
    Phase,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendationReference,
    RecommendedBy,
    Record,
    Requester,
    Ticket,
    TicketContent,
    TimelineEvent,
)
from shared.tickets.outcomes import (
    Closing,
    Measurement,
    Outcome,
    OutcomeReason,
    RecommendationOutcome,
    Verification,
)
from tests.memory.servicenow import as_shown

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
"""Any text that can be stored, including control characters, other scripts and emoji."""
words = st.text(string.ascii_letters + string.digits + " -_.あ漢😀'\"<&", min_size=1, max_size=40)

moments = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - the strategy adds the time zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
seconds = moments.map(lambda at: at.replace(microsecond=0))
"""Times to the second, as ServiceNow keeps them."""
due_dates = st.none() | seconds | st.just(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))

ticket_ids = st.text("0123456789abcdef", min_size=32, max_size=32)

recommendations = st.builds(
    Recommendation,
    source=st.sampled_from(RecommendedBy),
    category=st.sampled_from(RecommendationCategory),
    id=st.none() | words,
    link=st.none() | words,
)
requesters = st.builds(Requester, id=words, name=words, email=st.none() | words)
references = st.builds(RecommendationReference, tenant_id=words, source=words, source_id=texts)
contents = st.builds(
    TicketContent,
    kind=st.sampled_from(TicketKind),
    portal=st.sampled_from(Portal),
    name=texts,
    description=texts,
    priority=st.sampled_from(Priority),
    due_at=due_dates,
    recommendation=recommendations,
    requester=requesters,
    references=st.lists(references, max_size=3).map(tuple),
    company=st.none() | words,
    assignment_group=st.none() | words,
    assigned_to=st.none() | words,
    configuration_item=st.none() | words,
    shares_requester=st.booleans(),
)
states = st.sampled_from(["1", "2", "3", "6", "7", "8", "-5", "-1", "0", "4", "17", "new"])
records = st.builds(
    Record,
    sys_id=ticket_ids,
    table=st.sampled_from(["incident", "change_request", "problem", "sn_si_incident", "u_own"]),
    number=words,
    state=states,
    active=st.booleans(),
    updated_at_text=seconds.map(lambda at: at.strftime("%Y-%m-%d %H:%M:%S")),
    mod_count=st.integers(0, 2**31 - 1),
    state_label=st.none() | words,
    priority=st.none() | st.sampled_from("12345"),
    assigned_to=st.none() | words,
    assignment_group=st.none() | words,
    due_at=due_dates,
).map(as_shown)
events = st.builds(
    TimelineEvent,
    kind=st.sampled_from(EventKind),
    at=moments,
    details=st.dictionaries(words, texts, max_size=4),
)
codes = words | st.sampled_from(get_args(Code.__value__))
values = st.dictionaries(words, texts | st.integers())
failures = st.builds(Failure, code=codes, values=values) | st.builds(
    Failure, code=codes, message=texts.filter(bool), next_step=texts
)
progresses = st.builds(
    DeliveryProgress,
    status=st.sampled_from(Delivery),
    attempts=st.integers(0, 1000),
    attempt_started_at=st.none() | moments,
    next_attempt_at=st.none() | moments,
    leased_until_at=st.none() | moments,
    refused_since_at=st.none() | moments,
    delivered_at=st.none() | moments,
    failure=st.none() | failures,
    error_status=st.none() | st.integers(400, 599),
)
points = st.none() | st.decimals(0, 100, places=2)
measurements = st.builds(
    Measurement,
    points=points,
    max_points=points,
    count=st.none() | st.integers(0, 10**6),
    total=st.none() | st.integers(0, 10**6),
    measured_at=st.none() | moments,
    day=st.none() | st.dates(),
    snapshot_id=st.none() | words,
)
outcomes = st.builds(
    RecommendationOutcome,
    tenant_id=words,
    key=words,
    before=st.none() | measurements,
    outcome=st.sampled_from(Outcome),
    reason=st.none() | st.sampled_from(OutcomeReason),
    deciding=st.none() | measurements,
    proof=st.none() | measurements,
    lower=st.none() | measurements,
    decided_at=st.none() | moments,
)
closings = st.builds(
    Closing,
    noticed_at=moments,
    closed_at=st.none() | moments,
    close_code=st.none() | words,
    is_read=st.booleans(),
    claims_fix=st.booleans(),
)
verifications = st.builds(
    Verification,
    asked_at=moments,
    items=st.lists(outcomes, max_size=3).map(tuple),
    closing=st.none() | closings,
    is_superseded=st.booleans(),
)


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    """Any ticket, whether or not its parts fit together."""
    ticket = Ticket(
        ticket_id=draw(ticket_ids),
        connection_id=draw(st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=40)),
        instance="https://contoso.service-now.com",
        content=draw(contents),
        created_at=draw(moments),
        delivery=draw(progresses),
        verification=draw(st.none() | verifications),
        timeline=tuple(
            sorted(draw(st.lists(events, max_size=6, unique_by=lambda event: event.at)), key=lambda event: event.at)
        ),
    )
    record = draw(st.none() | records)
    if record is None:
        return ticket
    from dataclasses import replace

    return replace(
        ticket, record=replace(record, correlation_id=ticket.correlation_id), phase=draw(st.sampled_from(Phase))
    )


time_steps = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=3))
