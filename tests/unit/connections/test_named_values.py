from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.connections.columns import Column
from shared.connections.fixed_fields import LABEL_MAX_LENGTH, MOST_FIXED_FIELDS, FixedField
from shared.connections.model import Connection, KindSettings, TicketKind
from shared.connections.named_values import NamedValues
from shared.connections.options import Choice
from shared.connections.requests import ConnectionRequest, read_connection_request
from shared.connections.suggestions import AT_ONCE, KEEP_COLUMNS, KEEP_RECORDS, Suggestions, suggestions
from shared.errors import FixRequest, InsufficientRights, ServiceNowUnavailable
from tests.memory.clock import ManualClock
from tests.memory.columns import MemoryColumns
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.tokens import MemoryTokens
from tests.unit.tickets.examples import CONNECTION_ID, a_connection

MAIL, SHOP, OTHER_SHOP, ADA = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
COLUMNS = {
    "cmdb_ci": Column("cmdb_ci", "Configuration item", reference="cmdb_ci"),
    "contact_type": Column(
        "contact_type", "Channel", choices=[Choice("self-service", "Self-service"), Choice("email", "E-mail")]
    ),
    "u_owner": Column("u_owner", "Owner", reference="sys_user"),
    "u_text": Column("u_text", "Text", max_length=40),
}
RECORDS = {
    "cmdb_ci": [Choice(MAIL, "Mail server"), Choice(SHOP, "Web shop"), Choice(OTHER_SHOP, "Web shop")],
    "sys_user": [Choice(ADA, "Ada Lovelace (ada)")],
}
CONNECTION = a_connection(integration_user_sys_id="e" * 32)


@dataclass
class Counting(MemoryColumns):
    """Counts what the instance is asked."""

    asked: list[str] = field(default_factory=list)
    hanging: str = ""

    async def columns(self, connection: Connection, kind: TicketKind) -> Any:
        self.asked.append(f"columns {kind}")
        return await super().columns(connection, kind)

    async def search(self, connection: Connection, table: str, text: str, *, exact: bool = False) -> Any:
        self.asked.append(f"{table} {text}")
        if connection.instance == self.hanging:
            await asyncio.Event().wait()
        return await super().search(connection, table, text, exact=exact)


class World:
    def __init__(self, connection: Connection | None = CONNECTION, **instance: Any) -> None:
        self.clock = ManualClock()
        given: dict[str, Any] = {"found": COLUMNS, "records": RECORDS}
        self.instance = Counting(**(given | instance))
        present = () if connection is None else (connection,)
        self.values = NamedValues(MemoryConnectionStore(*present), MemoryTokens(), self.instance)
        self.suggestions: Suggestions = suggestions(self.values, self.clock)

    async def saved(self, column: str, value: str, **changes: Any) -> FixedField:
        after = await self.values.resolved(CONNECTION_ID, request({"column": column, "value": value}, **changes))
        [found] = after.kinds[TicketKind.INCIDENT].settings.fixed_fields
        return found

    async def refused(self, column: str, value: str, **changes: Any) -> tuple[str, str]:
        with pytest.raises(FixRequest) as caught:
            await self.saved(column, value, **changes)
        assert (caught.value.code, caught.value.status) == ("invalid_connection", 422)
        errors: Any = caught.value.values["errors"]
        assert [each["pointer"] for each in errors] == ["/kinds/incident/fixed_fields/0/value"]
        return errors[0]["code"], errors[0]["values"].get("found", "")


def request(*fields: dict[str, str], **changes: Any) -> ConnectionRequest:
    account = {"display_name": "Contoso", "instance": "contoso", "client_id": "client", "integration_user": "m365"}
    return read_connection_request({**account, "kinds": {"incident": {"fixed_fields": list(fields)}}, **changes})


async def test_a_name_that_one_record_has_becomes_its_sys_id() -> None:
    assert await World().saved("cmdb_ci", "mail SERVER") == FixedField("cmdb_ci", MAIL, "Mail server")
    assert await World().saved("u_owner", "Ada Lovelace (ada)") == FixedField("u_owner", ADA, "Ada Lovelace (ada)")


async def test_a_name_that_none_or_several_have_is_refused_with_what_was_found() -> None:
    assert await World().refused("cmdb_ci", "Mail") == ("name_not_found", "")
    assert await World().refused("cmdb_ci", "Web shop") == (
        "name_ambiguous",
        f"Web shop ({SHOP}), Web shop ({OTHER_SHOP})",
    )


async def test_a_choice_is_given_by_value_or_label() -> None:
    for text in ("email", "E-Mail", "e-mail"):
        assert await World().saved("contact_type", text) == FixedField("contact_type", "email", "E-mail")
    code, found = await World().refused("contact_type", "pigeon")
    assert (code, found) == ("not_a_choice", "Self-service (self-service), E-mail (email)")


async def test_other_values_and_unknown_columns_are_taken_as_they_are() -> None:
    assert await World().saved("u_text", "Blue") == FixedField("u_text", "Blue")
    assert await World().saved("u_hidden", "Blue") == FixedField("u_hidden", "Blue")


@pytest.mark.parametrize(
    "instance", [{"found": None, "records": {}}, {"error": InsufficientRights()}, {"error": ServiceNowUnavailable()}]
)
async def test_where_the_instance_shows_nothing_a_sys_id_is_needed(instance: dict[str, Any]) -> None:
    assert await World(**instance).refused("cmdb_ci", "Mail server") == ("sys_id_needed", "")
    assert await World(**instance).saved("cmdb_ci", MAIL) == FixedField("cmdb_ci", MAIL)
    assert await World(**instance).saved("contact_type", "pigeon") == FixedField("contact_type", "pigeon")


@pytest.mark.parametrize(
    "world",
    [
        lambda: World(None),
        lambda: World(replace(CONNECTION, integration_user_sys_id=None)),
        lambda: World(replace(CONNECTION, instance="https://fabrikam.service-now.com")),
    ],
    ids=["new connection", "nobody has consented", "another instance"],
)
async def test_an_instance_that_cannot_be_asked_is_not_asked(world: Any) -> None:
    made = world()
    assert await made.refused("cmdb_ci", "Mail server") == ("sys_id_needed", "")
    assert made.instance.asked == []


async def test_what_is_stored_is_not_asked_again_and_its_label_stands_for_it() -> None:
    stored = FixedField("cmdb_ci", SHOP, "Web shop")
    kinds = {kind: KindSettings(fixed_fields=(stored,)) for kind in TicketKind}
    world = World(replace(CONNECTION, kinds=kinds), error=ServiceNowUnavailable())
    assert await world.saved("cmdb_ci", "Web shop") == stored
    assert await world.saved("cmdb_ci", SHOP) == stored
    assert world.instance.asked == []


async def test_a_label_is_as_long_as_it_may_be_sent_again() -> None:
    world = World(records={"cmdb_ci": [Choice(MAIL, "Mail" * 100)]})
    saved = await world.saved("cmdb_ci", "Mail" * 100)
    assert saved.label is not None
    assert len(saved.label) <= LABEL_MAX_LENGTH
    assert request({"column": saved.column, "value": saved.value, "label": saved.label})


@pytest.mark.usefixtures("waits_end_at_once")
async def test_however_many_names_a_slow_instance_is_asked_about_nobody_waits_longer() -> None:
    world = World(hanging=CONNECTION.instance)
    names = [{"column": f"u_{number}", "value": "Ada"} for number in range(MOST_FIXED_FIELDS - 1)]
    world.instance.found = {each["column"]: Column(each["column"], "Owner", reference="sys_user") for each in names}
    kinds = {kind: {"fixed_fields": names} for kind in TicketKind}
    with pytest.raises(FixRequest) as caught:
        await world.values.resolved(CONNECTION_ID, request(kinds=kinds))
    assert caught.value.values["count"] == 2 * len(names)
    # Waiting for a turn counts, too. If each name had the limit for itself, all of them would be asked for in the end.
    searched = [each for each in world.instance.asked if each.startswith("sys_user")]
    assert len(searched) < len(names)


async def test_the_address_may_be_written_in_any_of_the_usual_ways() -> None:
    for instance in ("contoso", "Contoso.service-now.com", "https://contoso.service-now.com/"):
        assert (await World().saved("cmdb_ci", "Mail server", instance=instance)).value == MAIL


async def suggested(world: World, column: str, text: str) -> list[str] | None:
    found = await world.suggestions.suggest(CONNECTION, TicketKind.INCIDENT, column, text)
    return None if found is None else [each.label for each in found]


async def test_choices_and_records_are_suggested() -> None:
    world = World()
    assert await suggested(world, "contact_type", "") == ["Self-service", "E-mail"]
    assert await suggested(world, "contact_type", "SELF") == ["Self-service"]
    assert await suggested(world, "cmdb_ci", "mail") == ["Mail server"]
    assert await suggested(world, "u_owner", "ada") == ["Ada Lovelace (ada)"]
    assert await suggested(world, "u_text", "x") is None
    assert await suggested(World(records={}), "cmdb_ci", "mail") is None
    assert await suggested(World(error=ServiceNowUnavailable()), "cmdb_ci", "mail") is None


@pytest.mark.parametrize("text", ["", " ", "a", "%", "%%%%", "__", "*a", "^^", "a^"])
async def test_a_text_that_says_nothing_asks_for_nothing(text: str) -> None:
    world = World()
    assert await suggested(world, "cmdb_ci", text) == []
    assert world.instance.asked == []


async def test_an_instance_that_does_not_answer_keeps_nobody_waiting_for_another() -> None:
    world = World(hanging=CONNECTION.instance)
    other = replace(CONNECTION, connection_id="fabrikam", instance="https://fabrikam.service-now.com")
    waiting = [asyncio.create_task(suggested(world, "cmdb_ci", f"mail {number}")) for number in range(10)]
    while len(world.instance.asked) < AT_ONCE:
        await asyncio.sleep(0)
    assert await world.suggestions.suggest(other, TicketKind.INCIDENT, "cmdb_ci", "mail")
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.usefixtures("waits_end_at_once")
async def test_who_waits_too_long_for_an_instance_gets_no_suggestions() -> None:
    world = World(hanging=CONNECTION.instance)
    asked = (suggested(world, "cmdb_ci", f"mail {number}") for number in range(10))
    assert await asyncio.gather(*asked) == [None] * 10


async def test_several_who_type_the_same_use_the_first_answers() -> None:
    world = World()
    assert await asyncio.gather(*(suggested(world, "cmdb_ci", "mail") for _ in range(5))) == [["Mail server"]] * 5
    assert len(world.instance.asked) <= AT_ONCE


async def test_what_one_integration_user_may_see_is_not_remembered_for_another() -> None:
    world = World()
    assert await suggested(world, "cmdb_ci", "mail") == ["Mail server"]
    world.instance.found, world.instance.records = {}, {"cmdb_ci": []}
    another = replace(CONNECTION, integration_user_sys_id="f" * 32)
    assert await world.suggestions.suggest(another, TicketKind.INCIDENT, "cmdb_ci", "mail") == []
    assert await world.suggestions.columns(another, TicketKind.INCIDENT) == {}


async def test_typing_costs_one_question_and_repeating_it_none() -> None:
    world = World()
    for text in ("mail", "Mail", " mail ", "mail"):
        assert await suggested(world, "cmdb_ci", text) == ["Mail server"]
    assert world.instance.asked == ["cmdb_ci mail"]
    world.clock.advance(KEEP_RECORDS.total_seconds() + 1)
    await suggested(world, "cmdb_ci", "mail")
    assert world.instance.asked == ["cmdb_ci mail"] * 2


async def test_columns_are_read_once_in_a_while() -> None:
    world = World()
    for text in ("self", "mail"):
        await suggested(world, "contact_type", text)
    assert world.instance.asked == ["columns incident"]
    world.clock.advance(KEEP_COLUMNS.total_seconds() + 1)
    await suggested(world, "contact_type", "self")
    assert world.instance.asked == ["columns incident"] * 2
