"""A preview shows what a creation sends, and keeps nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.fixed_fields import FixedField
from shared.errors import FixRequest
from shared.servicenow.fields import record_fields
from shared.tickets.preview import MADE_WHEN_SENT, TicketPreview
from shared.tickets.requests import read_ticket_request
from tests.unit.tickets.examples import REQUESTER, a_connection
from tests.unit.tickets.test_create import BODY, World


async def test_a_preview_shows_what_is_then_sent() -> None:
    world = World(a_connection())
    preview = TicketPreview(world.creation, record_fields)
    request = read_ticket_request({**BODY, "due_date": "2020-01-01"})
    shown = await preview.show(request, REQUESTER)
    assert len(shown.keys.split()) == 1
    assert not MADE_WHEN_SENT & dict(shown.fields).keys()
    creation = await world.creation.create(request, REQUESTER, caller="caller", idempotency_key="first")
    assert not creation.replayed
    kind_settings = a_connection().kinds[creation.ticket.content.kind]
    sent = record_fields(creation.ticket, kind_settings, None)
    assert {name: value for name, value in sent.items() if name not in MADE_WHEN_SENT} == dict(shown.fields)


async def test_a_value_of_the_settings_has_the_name_that_people_know() -> None:
    usual = a_connection()
    kind = read_ticket_request(BODY).kind
    fixed = (FixedField("cmdb_ci", "a" * 32, "Exchange Online"), FixedField("contact_type", "monitoring"))
    settings = replace(usual.kinds[kind], fixed_fields=fixed, assignment_group="c" * 32)
    names = {"c" * 32: "Network"}
    world = World(replace(usual, kinds={**usual.kinds, kind: settings}, record_names=names))
    shown = await TicketPreview(world.creation, record_fields).show(read_ticket_request(BODY), REQUESTER)
    assert shown.labels == {"cmdb_ci": "Exchange Online", "assignment_group": "Network"}
    assert [name for name, _ in shown.fields][-2:] == ["cmdb_ci", "contact_type"]
    chosen = read_ticket_request({**BODY, "configuration_item": "b" * 32})
    assert (await TicketPreview(world.creation, record_fields).show(chosen, REQUESTER)).labels == {
        "assignment_group": "Network"
    }


async def test_what_cannot_become_a_ticket_has_no_preview() -> None:
    preview = TicketPreview(World().creation, record_fields)
    with pytest.raises(FixRequest) as caught:
        await preview.show(read_ticket_request(BODY), REQUESTER)
    assert caught.value.code == "connection_not_found"
