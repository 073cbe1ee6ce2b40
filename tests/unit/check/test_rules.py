"""The meaning of observations, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.check import rules as rules
from shared.check.findings import ANY_CHECK, REASONS, CheckName, Finding, Outcome, finding
from shared.check.observations import (
    Account,
    ClientRecord,
    Delivered,
    Greeting,
    MarkedRecord,
    RateLimit,
    Reach,
    RegistryTable,
    SignIn,
    SignInPage,
    TicketFacts,
)
from shared.check.observe import Unobserved
from shared.check.preflight.run import DryRun
from shared.connections.model import Connection, ConnectionStatus, Grant, KindSettings, LastError, TicketKind
from shared.connections.ports import ServiceNowUser
from shared.error_codes import Code
from shared.errors import (
    AccessScopeMissing,
    AccessTokenRefused,
    CrossScopeRefused,
    Failure,
    FixConfiguration,
    InsufficientRights,
    NewAccessTokenRefused,
    Reauthorize,
    ServiceNowThrottled,
    ServiceNowUnavailable,
    StorageUnavailable,
    TableNotAvailable,
    ValuesRefused,
)
from shared.servicenow.kinds import user_roles
from tests.memory.maintenance import settings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REDIRECT = "https://connector.example/api/oauth/callback"
CONNECTION = Connection(
    connection_id="main",
    display_name="Contoso",
    instance="https://contoso.service-now.com",
    client_id="client",
    integration_user="m365.integration",
    status=ConnectionStatus.CONNECTED,
    consented_at=NOW - timedelta(days=1),
    consent_ends_at=NOW + timedelta(days=99),
)
SLOW = Unobserved("too_slow")
SILENT = Unobserved("no_answer", ServiceNowUnavailable())
REFUSED = Unobserved("no_answer", InsufficientRights())
LOGIN = SignInPage(SignIn.LOGIN_FORM, "https://contoso.service-now.com/login.do")


def connection(**changes: Any) -> Connection:
    return replace(CONNECTION, **changes)


def test_a_finding_has_a_reason_that_its_check_can_have() -> None:
    with pytest.raises(AssertionError, match="no_such_reason"):
        finding(CheckName.CLOCK, "no_such_reason")
    assert finding(CheckName.CLOCK, "too_slow").outcome is Outcome.UNKNOWN
    assert set(REASONS) == {name.topic for name in CheckName}
    assert not [topic for topic, reasons in REASONS.items() if set(reasons) & set(ANY_CHECK)]


def test_checks_of_kinds_share_a_topic() -> None:
    assert (CheckName.READ_CHANGE.topic, CheckName.READ_CHANGE.kind) == ("read", TicketKind.CHANGE)
    assert (CheckName.CLOCK.topic, CheckName.CLOCK.kind) == ("clock", None)
    assert CheckName.about("create", TicketKind.INCIDENT) is CheckName.CREATE_INCIDENT


@pytest.mark.parametrize("reach", list(Reach))
def test_every_way_of_not_being_reached_has_a_finding(reach: Reach) -> None:
    found = rules.reachable(Greeting(reach, 502), CONNECTION)
    answered = reach in {Reach.API, Reach.ADDRESS_BLOCKED}
    assert (found.outcome is Outcome.PASSED) is answered
    assert found.values["instance"] == CONNECTION.instance


def test_ip_filtering() -> None:
    assert rules.ip_filtering(Greeting(Reach.API), ()).reason == "passed"
    assert rules.ip_filtering(Greeting(Reach.ADDRESS_BLOCKED), ("1.2.3.4",)).values == {"addresses": "1.2.3.4"}
    assert rules.ip_filtering(Greeting(Reach.ADDRESS_BLOCKED), ()).reason == "blocked_addresses_unknown"
    assert rules.ip_filtering(Greeting(Reach.TIMEOUT), ()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("ahead_s", "reason"),
    [(0.4, "passed"), (-119.0, "passed"), (121.0, "differs"), (-121.0, "differs"), (None, "not_told")],
)
def test_clocks(ahead_s: float | None, reason: str) -> None:
    assert rules.clock(Greeting(Reach.API, 401, ahead_s)).reason == reason


@pytest.mark.parametrize(
    ("refreshed", "serves", "reason"),
    [
        (CONNECTION, None, "passed"),
        (Unobserved("no_answer", Reauthorize("refresh_token_refused")), None, "refused"),
        (Unobserved("no_answer", Reauthorize("consent_ended")), None, "refused"),
        (SILENT, None, "no_answer"),
        (Unobserved("no_answer", StorageUnavailable()), None, "no_answer"),
        (SLOW, None, "too_slow"),
        (None, True, "answers"),
        (None, False, "not_served"),
        (None, SLOW, "too_slow"),
    ],
)
def test_the_token_endpoint(refreshed: Any, serves: Any, reason: str) -> None:
    assert rules.token_endpoint(refreshed, serves, connection()).reason == reason


RECORD = ClientRecord(active=True, redirect_uris=[REDIRECT], refresh_token_lifespan_s=8_640_000)


@pytest.mark.parametrize(
    ("record", "leads_to", "token_given", "reason"),
    [
        (RECORD, SignIn.LOGIN_FORM, True, "passed"),
        (replace(RECORD, active=False), SignIn.LOGIN_FORM, False, "inactive"),
        (replace(RECORD, redirect_uris=["https://other.example"]), SignIn.LOGIN_FORM, True, "redirect_missing"),
        (replace(RECORD, refresh_token_lifespan_s=60), SignIn.LOGIN_FORM, True, "lifespan_differs"),
        (ClientRecord(None, (), None), SignIn.LOGIN_FORM, True, "passed"),
        (None, SignIn.LOGIN_FORM, True, "works"),
        (None, SignIn.LOGIN_FORM, False, "known"),
        (REFUSED, SignIn.ELSEWHERE, False, "unreadable"),
        (None, SignIn.CLIENT_UNKNOWN, False, "unknown_client"),
        (None, SignIn.CLIENT_UNKNOWN, True, "works"),
        (None, SignIn.REDIRECT_REFUSED, True, "redirect_missing"),
        (SLOW, None, True, "works"),
    ],
)
def test_the_oauth_client(record: Any, leads_to: SignIn | None, token_given: bool, reason: str) -> None:
    page = SLOW if leads_to is None else SignInPage(leads_to, "https://contoso.service-now.com/oauth_auth.do")
    found = rules.oauth_client(record, page, token_given=token_given, connection=CONNECTION, redirect_uri=REDIRECT)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("record", "leads_to", "reason"),
    [
        (None, SignIn.REDIRECT_REFUSED, "known"),
        (None, SignIn.CLIENT_UNKNOWN, "unknown_client"),
        (replace(RECORD, redirect_uris=["https://other.example"]), SignIn.REDIRECT_REFUSED, "passed"),
        (replace(RECORD, refresh_token_lifespan_s=60), SignIn.REDIRECT_REFUSED, "passed"),
    ],
)
def test_client_credentials_need_neither_a_redirect_address_nor_a_refresh_token(
    record: Any, leads_to: SignIn, reason: str
) -> None:
    page = SignInPage(leads_to, "https://contoso.service-now.com/oauth_auth.do")
    asking = connection(grant=Grant.CLIENT_CREDENTIALS)
    found = rules.oauth_client(record, page, token_given=False, connection=asking, redirect_uri=REDIRECT)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("changes", "exempted", "reason"),
    [
        ({}, None, "nobody_named"),
        ({}, False, "nobody_named"),
        ({}, REFUSED, "nobody_named"),
        ({}, True, "exempted"),
        ({"second_factor_holder": "Ada"}, True, "exempted"),
        ({"second_factor_holder": "Ada"}, False, "named"),
        ({"second_factor_holder": "Ada"}, SLOW, "named"),
    ],
)
def test_the_second_factor(changes: Any, exempted: Any, reason: str) -> None:
    assert rules.multifactor(connection(**changes), exempted).reason == reason


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (RegistryTable(from_all_scopes=True, can_read=True), "passed"),
        (RegistryTable(from_all_scopes=False, can_read=True), "closed"),
        (RegistryTable(from_all_scopes=None, can_read=False), "closed"),
        (RegistryTable(from_all_scopes=None, can_read=True), "unreadable"),
        (None, "unreadable"),
        (REFUSED, "unreadable"),
        (Unobserved("no_answer", CrossScopeRefused()), "refused"),
        (SILENT, "no_answer"),
    ],
)
def test_the_application_registry(table: Any, reason: str) -> None:
    assert rules.application_registry(table).reason == reason


@pytest.mark.parametrize(
    ("days", "reason"), [(99, "passed"), (15, "passed"), (14, "ends_soon"), (0.5, "ends_soon"), (-1, "ended")]
)
def test_the_consent_clock(days: float, reason: str) -> None:
    assert rules.consent(connection(consent_ends_at=NOW + timedelta(days=days)), NOW).reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"integration_user_sys_id": "a" * 32}, "not_needed"),
        ({"integration_user_sys_id": "a" * 32, "status": ConnectionStatus.UNAVAILABLE}, "not_needed"),
        ({"integration_user_sys_id": "a" * 32, "status": ConnectionStatus.REAUTHORIZATION_REQUIRED}, "not_connected"),
        ({"status": ConnectionStatus.AWAITING_AUTHORIZATION}, "not_connected"),
    ],
)
def test_client_credentials_have_no_consent_that_ends(changes: Any, reason: str) -> None:
    asking = connection(grant=Grant.CLIENT_CREDENTIALS, consent_ends_at=None, **changes)
    assert rules.consent(asking, NOW).reason == reason


def test_with_client_credentials_nobody_signs_in() -> None:
    asking = connection(grant=Grant.CLIENT_CREDENTIALS)
    for_a_browser = {check for check in CheckName if not rules.applies(check, asking)}
    assert for_a_browser == {CheckName.SINGLE_SIGN_ON, CheckName.MULTIFACTOR}
    assert all(rules.applies(check, CONNECTION) for check in CheckName)
    machine = Account(active=True, locked_out=False, web_service_access_only=True, password_needs_reset=False)
    assert rules.user_account(machine, asking).reason == "passed"
    assert rules.user_account(machine, CONNECTION).reason == "web_service_only"


def test_a_consent_that_is_refused_does_not_last() -> None:
    lasting = {"status": ConnectionStatus.REAUTHORIZATION_REQUIRED, "consent_ends_at": NOW + timedelta(days=50)}
    assert rules.consent(connection(**lasting), NOW).reason == "refused"
    over = lasting | {"consent_ends_at": NOW - timedelta(days=1)}
    assert rules.consent(connection(**over), NOW).reason == "ended"


def test_no_consent() -> None:
    assert rules.consent(connection(consent_ends_at=None), NOW).reason == "missing"


@pytest.mark.parametrize(
    ("leads_to", "status", "reason"),
    [
        (SignIn.LOGIN_FORM, ConnectionStatus.AWAITING_AUTHORIZATION, "passed"),
        (SignIn.ELSEWHERE, ConnectionStatus.CONNECTED, "connected"),
        (SignIn.ELSEWHERE, ConnectionStatus.REAUTHORIZATION_REQUIRED, "in_the_way"),
        (SignIn.CLIENT_UNKNOWN, ConnectionStatus.CONNECTED, "no_sign_in_page"),
        (SignIn.OTHER_ERROR, ConnectionStatus.CONNECTED, "no_sign_in_page"),
    ],
)
def test_single_sign_on(leads_to: SignIn, status: ConnectionStatus, reason: str) -> None:
    assert rules.single_sign_on(SignInPage(leads_to, "https://idp.example"), connection(status=status)).reason == reason
    assert rules.single_sign_on(SLOW, CONNECTION).reason == "too_slow"


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (ServiceNowUser("1", "M365.Integration"), "passed"),
        (ServiceNowUser("2", "adele.vance"), "wrong_user"),
        (REFUSED, "not_told"),
        (SLOW, "too_slow"),
    ],
)
def test_the_signed_in_user(user: Any, reason: str) -> None:
    assert rules.signed_in_user(user, CONNECTION).reason == reason


FINE = Account(True, False, False, False)


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        (FINE, "passed"),
        (replace(FINE, active=False), "inactive"),
        (replace(FINE, locked_out=True), "locked_out"),
        (replace(FINE, password_needs_reset=True), "password_reset"),
        (replace(FINE, web_service_access_only=True), "web_service_only"),
        (Account(None, None, None, None), "unreadable"),
        (None, "unreadable"),
        (REFUSED, "unreadable"),
        (SLOW, "too_slow"),
    ],
)
def test_the_account(account: Any, reason: str) -> None:
    assert rules.user_account(account, CONNECTION).reason == reason


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        (user_roles({"itil"}), "passed"),
        (user_roles({"sn_incident_write", "sn_change_write"}), "passed"),
        (user_roles({"sn_incident_write"}), "missing"),
        (user_roles(()), "missing"),
        (None, "unreadable"),
        (SLOW, "too_slow"),
    ],
)
def test_roles(roles: Any, reason: str) -> None:
    assert rules.user_roles(roles, CONNECTION, [], {}).reason == reason


@pytest.mark.parametrize("roles", [None, SLOW, user_roles(()), user_roles({"sn_incident_write"})])
def test_a_dry_run_of_every_kind_proves_the_roles(roles: Any) -> None:
    made = {kind: DryRun("a" * 32, MADE, closed=True) for kind in TicketKind}
    assert rules.user_roles(roles, CONNECTION, [], made).reason == "proven"
    refused = made | {TicketKind.CHANGE: DryRun("a" * 32, REFUSED)}
    assert rules.user_roles(roles, CONNECTION, [], refused).reason != "proven"


def test_delivered_tickets_prove_roles_that_are_not_shown() -> None:
    delivered = [replace(DELIVERED, kind=kind) for kind in TicketKind]
    assert rules.user_roles(None, CONNECTION, delivered, {}).reason == "proven"
    assert rules.user_roles(None, CONNECTION, [DELIVERED], {}).reason == "unreadable"
    assert rules.user_roles(user_roles(()), CONNECTION, delivered, {}).reason == "missing"


def test_a_kind_that_is_not_enabled_needs_no_role() -> None:
    incidents_only = {TicketKind.INCIDENT: KindSettings(), TicketKind.CHANGE: KindSettings(enabled=False)}
    found = rules.user_roles(user_roles({"sn_incident_write"}), connection(kinds=incidents_only), [], {})
    assert found.reason == "passed"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (RateLimit(None), "passed"),
        (Unobserved("no_answer", ServiceNowThrottled()), "passed"),
        (Unobserved("no_answer", AccessTokenRefused()), "token_refused"),
        (Unobserved("no_answer", NewAccessTokenRefused()), "token_refused"),
        (Unobserved("no_answer", AccessScopeMissing()), "scope_missing"),
        (REFUSED, "rights_missing"),
        (Unobserved("no_answer", TableNotAvailable()), "table_closed"),
        (Unobserved("no_answer", FixConfiguration("api_not_available")), "refused"),
        (SILENT, "no_answer"),
    ],
)
def test_rest_access(limit: Any, reason: str) -> None:
    assert rules.rest_access(limit, token_given=True).reason == reason


def test_a_token_that_was_not_just_given_is_not_blamed() -> None:
    refused = Unobserved("no_answer", AccessTokenRefused())
    found = rules.rest_access(refused, token_given=False)
    assert (found.reason, found.values) == ("not_checked", {"blocker": CheckName.TOKEN_ENDPOINT})
    assert rules.rest_access(RateLimit(None), token_given=False).reason == "passed"


def test_questions_that_are_answered_or_not() -> None:
    assert rules.asked(CheckName.QUERY_TASK, None).reason == "passed"
    refused = rules.asked(CheckName.READ_CHANGE, REFUSED)
    assert (refused.reason, refused.problem) == ("refused", Failure("insufficient_rights"))
    assert rules.asked(CheckName.QUERY_TASK, SILENT).reason == "no_answer"


MADE = MarkedRecord("a" * 32, "INC0010001")
DELIVERED = Delivered(TicketKind.INCIDENT, "b" * 32, "b" * 32)


@pytest.mark.parametrize(
    ("dry_run", "reason"),
    [
        (DryRun("a" * 32, MADE, seen=True, closed=True), "created"),
        (DryRun("a" * 32, MADE, seen=True, closed=False), "left_open"),
        (DryRun("a" * 32, None), "outcome_unknown"),
        (DryRun("a" * 32, Unobserved("no_answer", ValuesRefused("data_policy_refused"))), "refused"),
        (DryRun("a" * 32, SILENT), "no_answer"),
    ],
)
def test_creating_by_dry_run(dry_run: DryRun, reason: str) -> None:
    found = rules.create(TicketKind.INCIDENT, dry_run, [DELIVERED], user_roles({"itil"}))
    assert found.reason == reason


def test_creating_without_a_dry_run() -> None:
    roles = user_roles({"sn_incident_write"})
    assert rules.create(TicketKind.INCIDENT, None, [DELIVERED], None).reason == "by_tickets"
    assert rules.create(TicketKind.INCIDENT, None, [], roles).reason == "by_roles"
    missing = rules.create(TicketKind.CHANGE, None, [DELIVERED], roles)
    assert (missing.reason, missing.values) == ("role_missing", {"wanted": "itil, sn_change_write"})
    assert rules.create(TicketKind.CHANGE, None, [DELIVERED], None).reason == "dry_run_needed"
    assert rules.create(TicketKind.CHANGE, None, [], SLOW).reason == "dry_run_needed"


def test_own_tickets() -> None:
    seen, unseen = (DryRun("a" * 32, MADE, seen=each) for each in (True, False))
    none: frozenset[str] = frozenset()
    assert rules.own_tickets(none, [], []).reason == "none_yet"
    assert rules.own_tickets(none, [], [seen]).values == {"seen": "1", "total": "1"}
    assert rules.own_tickets(frozenset({DELIVERED.sys_id}), [DELIVERED], [unseen]).reason == "hidden"
    assert rules.own_tickets(none, [DELIVERED], []).reason == "hidden"
    assert rules.own_tickets(none, [], [DryRun("a" * 32, MADE, seen=SLOW)]).reason == "none_yet"
    assert rules.own_tickets(SLOW, [DELIVERED], []).reason == "too_slow"
    assert rules.own_tickets(REFUSED, [DELIVERED], []).reason == "hidden"


def test_ids_that_are_kept() -> None:
    replaced = replace(DELIVERED, sys_id="c" * 32)
    assert rules.client_sys_id([], []).reason == "dry_run_needed"
    assert rules.client_sys_id([DELIVERED], []).reason == "passed"
    assert rules.client_sys_id([DELIVERED, replaced], []).reason == "replaced"
    assert rules.client_sys_id([], [DryRun("a" * 32, MADE)]).reason == "passed"
    assert rules.client_sys_id([], [DryRun("d" * 32, MADE)]).reason == "replaced"


def test_texts_that_are_kept() -> None:
    cut = replace(DELIVERED, texts_kept=False)
    assert rules.texts_kept([], []).reason == "dry_run_needed"
    assert rules.texts_kept([], [DryRun("a" * 32, MADE)]).reason == "dry_run_needed"
    assert rules.texts_kept([DELIVERED], []).reason == "passed"
    assert rules.texts_kept([DELIVERED, cut], []).reason == "shortened"
    sent = {"description": "whole", "urgency": "3"}
    for kept, reason in (({"description": "whole"}, "passed"), ({"description": "who", "urgency": "3"}, "shortened")):
        dry_run = DryRun("a" * 32, replace(MADE, values=kept), sent=sent)
        assert rules.texts_kept([], [dry_run]).reason == reason


def test_choice_labels() -> None:
    assert rules.choice_labels([True, True]).reason == "passed"
    assert rules.choice_labels([True, False]).reason == "refused"
    assert rules.choice_labels([True, REFUSED]).reason == "refused"
    assert rules.choice_labels([True, SLOW]).reason == "too_slow"


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (RateLimit(None), "none"),
        (RateLimit(120), "enough"),
        (RateLimit(119), "too_low"),
        (Unobserved("no_answer", ServiceNowThrottled()), "reached"),
        (SILENT, "no_answer"),
    ],
)
def test_rate_limits(limit: Any, reason: str) -> None:
    assert rules.rate_limits(limit, sync_interval_s=settings().sync_interval_s).reason == reason


@pytest.mark.parametrize(
    ("release", "reason"),
    [
        ("jakarta", "too_old"),
        ("kingston", "passed"),
        ("zurich", "passed"),
        ("australia", "passed"),
        (None, "unreadable"),
        (REFUSED, "unreadable"),
        (SLOW, "too_slow"),
    ],
)
def test_releases(release: Any, reason: str) -> None:
    assert rules.release(release, CONNECTION, token_given=True, works=False).reason == reason


@pytest.mark.parametrize(
    ("release", "grant", "token_given", "works", "reason"),
    [
        (None, Grant.AUTHORIZATION_CODE, True, True, "by_tickets"),
        (SLOW, Grant.AUTHORIZATION_CODE, True, True, "by_tickets"),
        (REFUSED, Grant.AUTHORIZATION_CODE, False, True, "unreadable"),
        (None, Grant.CLIENT_CREDENTIALS, True, False, "by_grant"),
        (None, Grant.CLIENT_CREDENTIALS, False, False, "unreadable"),
        ("jakarta", Grant.AUTHORIZATION_CODE, True, True, "too_old"),
    ],
)
def test_a_release_that_nobody_sees_is_shown_by_what_works(
    release: Any, grant: Grant, token_given: bool, works: bool, reason: str
) -> None:
    assert rules.release(release, connection(grant=grant), token_given=token_given, works=works).reason == reason


def worked(*, but: CheckName | None = None, creation: str = "by_tickets") -> list[Finding]:
    reasons = {
        CheckName.SIGNED_IN_USER: "passed",
        CheckName.REST_ACCESS: "passed",
        CheckName.QUERY_TASK: "passed",
        CheckName.READ_INCIDENT: "passed",
        CheckName.READ_CHANGE: "passed",
        CheckName.CREATE_INCIDENT: "created",
        CheckName.CREATE_CHANGE: creation,
        CheckName.OWN_TICKETS: "passed",
    }
    return [finding(check, "too_slow" if check is but else reason) for check, reason in reasons.items()]


@pytest.mark.parametrize("missing", [finding.check for finding in worked()])
def test_everything_works_only_if_all_of_it_was_seen(missing: CheckName) -> None:
    assert rules.works(worked(), CONNECTION)
    assert not rules.works(worked(but=missing), CONNECTION)
    assert not rules.works(worked(creation="by_roles"), CONNECTION), "a role is no ticket"
    only_incidents = {TicketKind.INCIDENT: KindSettings(), TicketKind.CHANGE: KindSettings(enabled=False)}
    incidents = [each for each in worked() if each.check.kind is not TicketKind.CHANGE]
    assert rules.works(incidents, connection(kinds=only_incidents))


@pytest.mark.parametrize(
    ("changes", "facts", "reason"),
    [
        ({"status": ConnectionStatus.NOT_CONFIGURED}, TicketFacts(), "not_configured"),
        ({"status": ConnectionStatus.AWAITING_AUTHORIZATION}, TicketFacts(), "authorize_missing"),
        ({"status": ConnectionStatus.REAUTHORIZATION_REQUIRED}, TicketFacts(), "reauthorize"),
        ({"status": ConnectionStatus.UNAVAILABLE}, TicketFacts(), "unavailable"),
        ({"kinds": {kind: KindSettings(enabled=False) for kind in TicketKind}}, TicketFacts(), "no_kind_enabled"),
        ({}, TicketFacts(failed=1, last_sync_at=NOW, delivered=[DELIVERED]), "some_refused"),
        ({}, TicketFacts(failed=1, last_sync_at=NOW), "only_refused"),
        ({}, TicketFacts(pending=1, pending_since_at=NOW - timedelta(minutes=16), last_sync_at=NOW), "waiting"),
        ({}, TicketFacts(pending=1, pending_since_at=NOW - timedelta(minutes=14), last_sync_at=NOW), "some_waiting"),
        ({}, TicketFacts(last_sync_at=NOW - timedelta(minutes=16)), "not_synchronised"),
        ({}, TicketFacts(last_sync_at=None), "not_synchronised"),
        ({"consented_at": NOW}, TicketFacts(last_sync_at=None), "no_tickets_yet"),
        ({}, TicketFacts(last_sync_at=NOW - timedelta(minutes=14)), "no_tickets_yet"),
        ({}, TicketFacts(last_sync_at=NOW, delivered=[DELIVERED]), "passed"),
        ({}, SLOW, "too_slow"),
    ],
)
def test_which_step_is_missing(changes: dict[str, Any], facts: Any, reason: str) -> None:
    assert rules.tickets_arrive(connection(**changes), facts, 300, NOW).reason == reason


def test_a_ticket_that_servicenow_refused_makes_no_connection_red() -> None:
    for delivered in ([], [DELIVERED]):
        facts = TicketFacts(failed=1, last_sync_at=NOW, delivered=delivered)
        assert rules.tickets_arrive(CONNECTION, facts, 300, NOW).outcome is not Outcome.FAILED


def test_whether_there_is_a_consent_to_use() -> None:
    changed = LastError(Failure("configuration_changed"), NOW)
    assert not rules.awaits_consent(CONNECTION)
    assert rules.awaits_consent(connection(consented_at=None))
    assert rules.awaits_consent(connection(last_error=changed))
    assert rules.awaits_consent(connection(status=ConnectionStatus.DISCONNECTED))


def test_an_unobserved_check_names_the_problem() -> None:
    found: Finding = rules.unobserved(CheckName.RELEASE, SILENT)
    assert found.problem == Failure("servicenow_unavailable")
    assert rules.unobserved(CheckName.RELEASE, SLOW).problem is None


@pytest.mark.parametrize("code", ["client_credentials_refused", "authorization_wrong_user"])
def test_refused_client_credentials_say_what_to_check(code: Code) -> None:
    by_credentials = connection(grant=Grant.CLIENT_CREDENTIALS)
    refused = Unobserved("no_answer", Reauthorize(code))
    assert rules.token_endpoint(refused, None, by_credentials).reason == "credentials_refused"
