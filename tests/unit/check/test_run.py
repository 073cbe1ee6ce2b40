"""A connection check always gives a report in time, whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shared.check.findings import CheckName, Outcome
from shared.check.preflight.run import TEST_TICKETS, Preflight
from shared.check.run import CheckReport, ConnectionCheck
from shared.connections.columns import Column
from shared.connections.grant.lease import Lease
from shared.connections.model import ConnectionStatus, KindSettings, TicketKind
from shared.errors import (
    AccessTokenRefused,
    FixRequest,
    InsufficientRights,
    MandatoryFieldsMissing,
    OutcomeUnknown,
    ServiceNowUnavailable,
    StorageUnavailable,
)
from shared.servicenow.fields import record_fields
from shared.tenants.companies import TenantCompanies
from shared.web.findings import finding_words
from tests.english import ENGLISH
from tests.memory.columns import MemoryColumns
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.probe import HANGS, MemoryProbe
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.trial_store import MemoryTrialStore
from tests.unit.connections.surroundings import ADMINISTRATOR, INTEGRATION_USER, REDIRECT_URI, Surroundings

LOOKS = (
    "greet",
    "sign_in_page",
    "rate_limit",
    "client_record",
    "registry_table",
    "account",
    "query_by_time",
    "read_kind",
    "visible",
    "may_read_choices",
    "release",
    "is_seen_exempted",
    "data_policies",
)


@pytest.fixture
def probe() -> MemoryProbe:
    return MemoryProbe()


@pytest.fixture
def tickets() -> MemoryTicketStore:
    return MemoryTicketStore()


@pytest.fixture
def trials() -> MemoryTrialStore:
    return MemoryTrialStore()


@pytest.fixture
def check(
    app: Surroundings, probe: MemoryProbe, tickets: MemoryTicketStore, trials: MemoryTrialStore
) -> ConnectionCheck:
    return ConnectionCheck(
        connections=app.store,
        turns=app.turns,
        tokens=app.tokens,
        server=app.servicenow,
        users=app.servicenow,
        probe=probe,
        tickets=tickets,
        preflight=Preflight(
            columns=MemoryColumns({"description": Column("description", "Description")}),
            tickets=tickets,
            requesters=MemoryRequesterDirectory(),
            trials=trials,
            record_fields=record_fields,
            companies=TenantCompanies(MemoryTenantStore(), app.clock),
            lease=Lease(MemoryLeaseStore(app.clock), TEST_TICKETS),
            clock=app.clock,
        ),
        clock=app.clock,
        redirect_uri=REDIRECT_URI,
        egress_addresses=(),
        sync_interval_s=300,
    )


def reason(report: CheckReport, name: CheckName) -> str:
    return next(each.reason for each in report.findings if each.check is name)


async def test_a_connection_that_works(app: Surroundings, check: ConnectionCheck, probe: MemoryProbe) -> None:
    await app.connected()
    report = await check.run("contoso", dry_run=False)
    assert not [each for each in report.findings if each.outcome is Outcome.FAILED]
    assert [each.check for each in report.findings] == list(CheckName)
    assert not {"create_marked", "cancel_marked", "serves_tokens"} & set(probe.asked)


async def test_a_check_refreshes_the_access_token(app: Surroundings, check: ConnectionCheck) -> None:
    before = await app.connected()
    await check.run("contoso", dry_run=False)
    assert app.stored().access_token_version != before.access_token_version


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    "mishap",
    [ServiceNowUnavailable(), InsufficientRights(), RuntimeError("a bug")],
    ids=["unavailable", "refused", "bug"],
)
async def test_nothing_that_goes_wrong_spoils_the_report(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe, look: str, mishap: Exception
) -> None:
    await app.connected()
    probe.mishaps[look] = mishap
    report = await check.run("contoso", dry_run=True)
    assert {each.check for each in report.findings} == set(CheckName)
    assert [each for each in report.findings if each.outcome is not Outcome.PASSED]
    assert "a bug" not in str(report)


@pytest.mark.usefixtures("waits_end_at_once")
@pytest.mark.parametrize("look", LOOKS)
async def test_nothing_that_hangs_holds_the_report_up(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe, look: str
) -> None:
    await app.connected()
    probe.mishaps[look] = HANGS
    report = await check.run("contoso", dry_run=False)
    assert {each.check for each in report.findings} == set(CheckName)
    slow = [each for each in report.findings if each.reason in {"too_slow", "timeout"}]
    assert slow or reason(report, CheckName.OAUTH_CLIENT) == "works", "the token shows that the client is alive"


@pytest.mark.usefixtures("waits_end_at_once")
async def test_a_refresh_that_takes_long_is_not_broken_off(
    app: Surroundings, check: ConnectionCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await app.connected()
    released, refreshed = asyncio.Event(), asyncio.Event()
    refresh = app.servicenow.refresh

    async def slow(*arguments: object) -> object:
        await released.wait()
        tokens = await refresh(*arguments)  # type: ignore[arg-type]
        refreshed.set()
        return tokens

    monkeypatch.setattr(app.servicenow, "refresh", slow)
    report = await check.run("contoso", dry_run=False)
    assert reason(report, CheckName.TOKEN_ENDPOINT) == "too_slow"
    released.set()
    await refreshed.wait()
    while app.stored().access_token_version == connection.access_token_version:
        await asyncio.sleep(0)


async def test_storage_that_does_not_answer_is_a_finding(
    app: Surroundings, check: ConnectionCheck, tickets: MemoryTicketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_answer(_: str) -> object:
        raise StorageUnavailable()

    await app.connected()
    monkeypatch.setattr(tickets, "get_summary", no_answer)
    report = await check.run("contoso", dry_run=False)
    assert reason(report, CheckName.TICKETS_ARRIVE) == "no_answer"
    assert reason(report, CheckName.QUERY_TASK) == "passed"


async def test_an_unknown_connection(check: ConnectionCheck) -> None:
    with pytest.raises(FixRequest) as refused:
        await check.run("nobody", dry_run=False)
    assert refused.value.code == "connection_not_found"


async def test_before_the_consent(app: Surroundings, check: ConnectionCheck, probe: MemoryProbe) -> None:
    await app.configured()
    report = await check.run("contoso", dry_run=True)
    assert reason(report, CheckName.TOKEN_ENDPOINT) == "answers"
    assert reason(report, CheckName.OWN_TICKETS) == "not_authorized"
    assert set(probe.asked) == {"greet", "sign_in_page", "serves_tokens"}


async def test_a_consent_that_no_longer_counts(app: Surroundings, check: ConnectionCheck) -> None:
    await app.connected()
    await app.configured(integration_user="somebody.else")
    assert app.stored().status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    report = await check.run("contoso", dry_run=False)
    assert reason(report, CheckName.TOKEN_ENDPOINT) == "answers"
    assert reason(report, CheckName.TICKETS_ARRIVE) == "reauthorize"


async def test_a_consent_that_was_revoked(app: Surroundings, check: ConnectionCheck, probe: MemoryProbe) -> None:
    """An old access token remains; its refusal is not another cause."""
    await app.connected()
    app.servicenow.refresh_tokens.clear()
    probe.mishaps |= dict.fromkeys(LOOKS[2:], AccessTokenRefused())
    report = await check.run("contoso", dry_run=True)
    failed = {each.check: each.reason for each in report.findings if each.outcome is Outcome.FAILED}
    assert failed == {
        CheckName.TOKEN_ENDPOINT: "refused",
        CheckName.CONSENT: "refused",
        CheckName.TICKETS_ARRIVE: "reauthorize",
    }
    unknown = {(each.reason, each.values.get("blocker")) for each in report.findings if each.outcome is Outcome.UNKNOWN}
    assert unknown == {("not_checked", CheckName.TOKEN_ENDPOINT), ("nobody_named", None)}
    assert set(probe.asked) == {"greet", "sign_in_page"}


async def test_a_removed_connection(app: Surroundings, check: ConnectionCheck) -> None:
    await app.connected()
    await app.removal.remove("contoso")
    report = await check.run("contoso", dry_run=True)
    assert reason(report, CheckName.TICKETS_ARRIVE) == "not_configured"


async def test_before_the_consent_nothing_is_asked_that_needs_one(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe
) -> None:
    connection = await app.configured()
    findings = await check.before_consent(connection)
    assert {each.check for each in findings} == {
        CheckName.REACHABLE,
        CheckName.IP_FILTERING,
        CheckName.OAUTH_CLIENT,
        CheckName.SINGLE_SIGN_ON,
    }
    assert set(probe.asked) == {"greet", "sign_in_page"}


# The dry run


async def test_a_dry_run_closes_what_it_made(app: Surroundings, check: ConnectionCheck, probe: MemoryProbe) -> None:
    await app.connected()
    report = await check.run("contoso", dry_run=True)
    assert list(probe.records.values()) == [True, True]
    assert (report.left_open, reason(report, CheckName.CREATE_CHANGE)) == ([], "created")


async def test_only_enabled_kinds_are_tried(app: Surroundings, check: ConnectionCheck, probe: MemoryProbe) -> None:
    connection = await app.connected()
    kinds = {TicketKind.INCIDENT: KindSettings(enabled=False), TicketKind.CHANGE: KindSettings()}
    await app.store.update_connection(replace(connection, kinds=kinds))
    await check.run("contoso", dry_run=True)
    assert len(probe.records) == 1


@pytest.mark.usefixtures("waits_end_at_once")
@pytest.mark.parametrize(
    "mishap",
    [OutcomeUnknown(), AccessTokenRefused(writing=True), HANGS],
    ids=["lost", "token refused", "hangs"],
)
async def test_a_record_whose_answer_got_lost_is_looked_for_and_closed(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe, mishap: Exception | str
) -> None:
    await app.connected()
    probe.loses_answers = True
    probe.mishaps["create_marked"] = mishap
    report = await check.run("contoso", dry_run=True)
    assert reason(report, CheckName.CREATE_INCIDENT) == "created"
    assert list(probe.records.values()) == [True, True]


async def test_a_record_that_is_not_to_be_found_is_reported(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe
) -> None:
    await app.connected()
    probe.mishaps["create_marked"] = OutcomeUnknown()
    report = await check.run("contoso", dry_run=True)
    assert reason(report, CheckName.CREATE_INCIDENT) == "outcome_unknown"


async def test_what_was_certainly_refused_is_not_looked_for(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe
) -> None:
    await app.connected()
    probe.mishaps["create_marked"] = MandatoryFieldsMissing()
    report = await check.run("contoso", dry_run=True)
    assert reason(report, CheckName.CREATE_INCIDENT) == "refused"
    assert "find_marked" not in probe.asked


@pytest.mark.usefixtures("waits_end_at_once")
@pytest.mark.parametrize("mishap", [OutcomeUnknown(), HANGS], ids=["lost", "hangs"])
async def test_a_record_that_may_still_be_open_is_named(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe, mishap: Exception | str
) -> None:
    await app.connected()
    probe.mishaps["cancel_marked"] = mishap
    report = await check.run("contoso", dry_run=True)
    assert sorted(report.left_open) == ["change-2", "incident-1"]
    assert reason(report, CheckName.CREATE_INCIDENT) == "left_open"


async def test_with_client_credentials_what_needs_a_browser_is_said_once(
    app: Surroundings, check: ConnectionCheck, probe: MemoryProbe
) -> None:
    app.servicenow.application_users["client"] = INTEGRATION_USER
    await app.configured(grant="client_credentials")
    before = await check.run("contoso", dry_run=False)
    await app.client_credentials.connect("contoso", started_by=ADMINISTRATOR)
    after = await check.run("contoso", dry_run=False)
    app.servicenow.credentials_enabled = False
    refused = await check.run("contoso", dry_run=False)
    assert reason(before, CheckName.TICKETS_ARRIVE) == "authorize_missing"
    assert reason(after, CheckName.TOKEN_ENDPOINT) == "passed"
    assert reason(refused, CheckName.TOKEN_ENDPOINT) == "credentials_refused"
    assert reason(before, CheckName.CONSENT) == reason(refused, CheckName.CONSENT) == "not_connected"
    assert reason(after, CheckName.CONSENT) == "not_needed"
    for report in (before, after, refused):
        assert not {CheckName.SINGLE_SIGN_ON, CheckName.MULTIFACTOR} & {each.check for each in report.findings}
    words = [finding_words(each, ENGLISH) for each in refused.findings if each.check is CheckName.TOKEN_ENDPOINT]
    assert "OAuth Application User" in words[0].fix
