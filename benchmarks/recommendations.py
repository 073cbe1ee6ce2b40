"""Recommendations of one tenant: what they take in Table Storage, and the time to list, store and show them.

The tenant is the simulator's, with 460 controls of which some 230 have points. Its catalogue, status texts and points
are decoded as answers of Microsoft Graph are.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from benchmarks.connector import Connector, new_connector
from benchmarks.effort import Effort, median_ms
from benchmarks.pages import application_of_pages, visit
from benchmarks.report import Figure, at_most
from benchmarks.tickets import new_ids, ticket
from sandbox.clock import Clock
from sandbox.graph.engine.world import World as GraphWorld
from sandbox.graph.stage.seed.tenants import E5, PLANS, plant
from sandbox.graph.wire.secure_score.representation import profile, secure_score
from sandbox.world import World
from shared.connections.model import Connection
from shared.graph.decoding import SecureScoreDecoder
from shared.recommendations.model import ImprovementAction, SourceName, text_hash
from shared.recommendations.ports import Claim, ClaimedTicket, Reading
from shared.recommendations.reading.changes import changes_of
from shared.recommendations.reading.joining import joined, snapshot_of
from shared.tenants.model import Tenant

CHANGED_A_DAY: Final = 30
"""Controls whose true state changes: more than in a tenant in which people come and go."""
DAYS_A_YEAR: Final = 365


async def measure(world: World, *, controls: int, days: int, runs: int) -> Sequence[Figure]:
    """Store a reading for each day and see what is stored; then list and store again and again.

    Args:
        controls: How many of the tenant's 460 there are; at least :data:`CHANGED_A_DAY`.
        days: At least two; a year's bytes are computed from the growth from the first one to the last.
        runs: How often to measure each time.
    """
    async with new_connector(world) as connector, application_of_pages():
        stored = []
        for reading in _readings(connector, controls, days):
            await _store(connector, reading)
            stored.append(await _stored_bytes(connector))
        actions = await connector.app.recommendations.list_actions(E5)
        snapshots = await connector.app.recommendations.list_snapshots(E5)
        listed = [await _list(connector) for _ in range(runs)]
        saved = [await _save(connector, reading, number) for number in range(runs)]
        await _make_tickets(connector, await connector.connect("contoso", world.servicenow.url), actions)
        await _visit(connector)
        visited = [await _visit(connector) for _ in range(runs)]
    year = stored[0] + (stored[-1] - stored[0]) / (days - 1) * (DAYS_A_YEAR - 1)
    name = f"{len(actions)} improvement actions"
    return [
        Figure(f"{name}, {len(snapshots[-1].controls)} with points: stored in a year", year / 1e6, "MB", digits=1),
        Figure("  of that, after the first day", stored[0] / 1e6, "MB", digits=1),
        Figure(f"listing {name}: time, p50", median_ms(listed, _wall), "ms", goal=at_most(150)),
        Figure("  processor time, p50", median_ms(listed, _processor), "ms"),
        Figure("  table requests", listed[0].table_requests.total()),
        Figure(f"storing a reading, {CHANGED_A_DAY} changed: time, p50", median_ms(saved, _wall), "ms"),
        Figure("  processor time, p50", median_ms(saved, _processor), "ms"),
        Figure("  table requests", saved[0].table_requests.total()),
        Figure(
            f"recommendations page, {len(actions)} rows: time, p50", median_ms(visited, _wall), "ms", goal=at_most(200)
        ),
        Figure("  processor time, p50", median_ms(visited, _processor), "ms"),
        Figure("  table requests", visited[0].table_requests.total()),
    ]


def _readings(connector: Connector, controls: int, days: int) -> Iterator[Reading]:
    """Yield the readings of days that follow each other; the connector's clock moves with them."""
    graph, chance = GraphWorld(Clock.stopped_at(connector.clock())), random.Random(1)
    plant(graph, [plan for plan in PLANS if plan.tenant_id == E5])
    decoder = SecureScoreDecoder(E5)
    for _ in range(days):
        tenant = graph.tenant(E5)
        known = tenant.profiles()[:controls]
        for control in chance.sample(known, CHANGED_A_DAY):
            tenant.set_share(control.id, chance.random(), graph.clock.now())
        profiles = [decoder.profile(_wire(profile(each, E5, (), graph.switches, "en")))[0] for each in known]
        score, _ = decoder.score(_wire(secure_score(tenant.snapshots[-1], graph.switches, is_newest=True)))
        assert score is not None
        ids = {each.id for each in known}
        score = replace(score, controls=[each for each in score.controls if each.control_id in ids])
        actions, texts = joined(E5, [each for each in profiles if each is not None], score)
        yield Reading(SourceName.SECURE_SCORE, True, actions, texts, snapshot_of(score))
        graph.advance(days=1)
        connector.clock.move_on(timedelta(days=1).total_seconds())


def _wire(item: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(item), parse_float=str)


async def _store(connector: Connector, reading: Reading) -> None:
    """Store a reading as the timer does."""
    store = connector.app.recommendations
    changes = changes_of(await store.list_actions(E5), reading, connector.clock())
    assert reading.snapshot is not None
    await store.save_reading(E5, changes.rows, reading.texts, [reading.snapshot])


async def _stored_bytes(connector: Connector) -> int:
    rows = connector.tables.recommendations.query_entities("PartitionKey eq @tenant", parameters={"tenant": E5})
    return sum([_row_bytes(row) async for row in rows])


def _row_bytes(row: Mapping[str, Any]) -> int:
    """Return the size of a row as Table Storage counts it ("Understanding the Table service data model")."""
    keys = 2 * len(row["PartitionKey"] + row["RowKey"])
    columns = {name: value for name, value in row.items() if name not in {"PartitionKey", "RowKey"}}
    return 4 + keys + sum(8 + 2 * len(name) + _value_bytes(value) for name, value in columns.items())


def _value_bytes(value: object) -> int:
    match value:
        case str():
            return 4 + len(value.encode("utf-16-le"))
        case bytes():
            return 4 + len(value)
        case int():
            return 4
    raise TypeError(f"A row of recommendations has no {type(value).__qualname__}.")


async def _list(connector: Connector) -> Effort:
    with connector.measured() as effort:
        await connector.app.recommendations.list_actions(E5)
    return effort


async def _save(connector: Connector, reading: Reading, number: int) -> Effort:
    """Store the reading with new points and status texts of some actions."""
    status = {text_hash(html): html for html in (f"<p>{number} of {each}</p>" for each in range(CHANGED_A_DAY))}
    changed = [
        replace(action, points=Decimal(number), texts=replace(action.texts, implementation_status=key))
        for action, key in zip(reading.actions, status, strict=False)
    ]
    assert reading.snapshot is not None
    with connector.measured() as effort:
        await connector.app.recommendations.save_reading(E5, changed, {**reading.texts, **status}, [reading.snapshot])
    return effort


async def _make_tickets(connector: Connector, connection: Connection, actions: Sequence[ImprovementAction]) -> None:
    """Store the tenant, and a ticket for every fourth of its actions."""
    app, now = connector.app, connector.clock()
    await app.tenants.save_tenant(Tenant(E5, "Contoso", connection.connection_id, snapshot_at=now, read_at=now))
    wanted = actions[::4]
    made = [
        replace(each, content=replace(each.content, references=(action.reference,)))
        for action, ticket_id in zip(wanted, new_ids(connection.connection_id, len(wanted)), strict=True)
        for each in [ticket(connection, ticket_id)]
    ]
    await app.tickets.create_tickets(made)
    for each in made:
        (reference,) = each.content.references
        claimed = ClaimedTicket(connection.connection_id, each.ticket_id, now)
        await app.claims.save_claim(Claim(E5, reference.key, (claimed,)))


async def _visit(connector: Connector) -> Effort:
    return await visit(connector, "recommendations_page", "/recommendations?hidden=true")


def _wall(effort: Effort) -> float:
    return effort.wall_s


def _processor(effort: Effort) -> float:
    return effort.processor_s
