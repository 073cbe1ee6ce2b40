from __future__ import annotations

from dataclasses import replace

import pytest

from shared.application import Application
from shared.connections.fixed_fields import RESERVED_COLUMNS, FixedField
from shared.connections.model import Connection, KindSettings, TicketKind
from shared.servicenow.fields import record_fields
from shared.settings import Settings
from shared.storage.tables import TABLE_NAMES
from shared.tickets.data_exchange import DataExchange, SentRecord
from shared.words.language import languages
from tests.memory.clock import START
from tests.unit.tickets.examples import REQUESTER, a_connection, new_ticket

EXCHANGE = DataExchange(record_fields, (), (), ())
FIXED = KindSettings(default_caller="d" * 32, category="software", fixed_fields=(FixedField("u_team", "Blue"),))


def sent(kind: TicketKind, **changes: object) -> SentRecord:
    connection: Connection = replace(a_connection(kinds=dict.fromkeys(TicketKind, FIXED)), **changes)  # type: ignore[arg-type]
    return next(each for each in EXCHANGE.sent(connection, REQUESTER, START) if each.kind is kind)


@pytest.mark.parametrize("kind", TicketKind)
def test_the_example_has_exactly_the_fields_of_a_real_ticket(kind: TicketKind) -> None:
    real = record_fields(new_ticket(START, kind=kind, due_at=START), FIXED, "a" * 32)
    example = sent(kind)
    assert [each.column for each in example.fields] == list(real)
    assert {each.column: each.source for each in example.fields}["u_team"] == "fixed"
    assert {*real, *example.later} >= RESERVED_COLUMNS[kind].keys() - {"company", "assignment_group"}


@pytest.mark.parametrize("kind", TicketKind)
def test_the_example_shows_what_is_left_out(kind: TicketKind) -> None:
    shared, kept = sent(kind), sent(kind, shares_requester=False)
    caller = "caller_id" if kind is TicketKind.INCIDENT else "requested_by"
    assert {each.column: each.value for each in shared.fields}[caller] is None, "looked up"
    assert {each.column: each.value for each in kept.fields}[caller] == "d" * 32
    assert REQUESTER.email is not None
    assert REQUESTER.email in str(shared.fields)
    assert not any(secret in str(kept.fields) for secret in (REQUESTER.email, REQUESTER.id))


def test_a_kind_that_is_not_enabled_is_not_shown() -> None:
    kinds = {TicketKind.INCIDENT: KindSettings(), TicketKind.CHANGE: KindSettings(enabled=False)}
    assert [each.kind for each in EXCHANGE.sent(a_connection(kinds=kinds), REQUESTER, START)] == [TicketKind.INCIDENT]


@pytest.fixture
def exchange() -> DataExchange:
    settings = Settings.from_environment(
        {
            "PUBLIC_BASE_URL": "https://tickets.contoso.com",
            "KEY_VAULT_URL": "https://vault.example",
            "TABLES_URL": "https://tables.example",
            "EVIDENCE_RETENTION_DAYS": "400",
        }
    )
    application = object.__new__(Application)
    object.__setattr__(application, "settings", settings)
    return application.data_exchange


def test_every_table_is_accounted_for_and_every_time_is_the_codes_own(exchange: DataExchange) -> None:
    assert {each.place for each in exchange.kept if each.is_table} == set(TABLE_NAMES)
    lasts = {each.name: each.lasts and each.lasts.days for each in exchange.kept}
    assert (lasts["evidence"], lasts["idempotency"], lasts["requesters"], lasts["secrets"]) == (400, 30, 1, 90)
    assert exchange.microsoft == [
        "https://graph.microsoft.com/v1.0/security/secureScores",
        "https://graph.microsoft.com/v1.0/security/secureScoreControlProfiles",
    ]


@pytest.mark.parametrize("language", languages())
def test_everything_has_words(exchange: DataExchange, language: str) -> None:
    t = languages()[language]
    for each in exchange.kept:
        assert t(f"data.kept.{each.name}")
        assert each.lasts or t(f"data.kept.{each.name}.how_long")
    sources = {"fixed", *(words for columns in RESERVED_COLUMNS.values() for words in columns.values())}
    assert all(t(f"data.source.{source}") for source in sources - {"notes", "state"})
