"""The connection check against the simulator: it finds and names every problem that is caused there."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.certificates import ensure_certificates
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.rules.access import ADMIN_ONLY, AccessRule
from sandbox.servicenow.engine.second_factor import EXEMPTED_GROUP
from sandbox.servicenow.stage.control.client import ControlClient
from shared.check.findings import CheckName, Finding, Outcome
from shared.check.preflight.run import TEST_TICKETS, Preflight
from shared.check.run import CheckReport, ConnectionCheck
from shared.connections.directory import SyncState
from shared.connections.grant.lease import TOKENS, Lease
from shared.connections.grant.revocation import TokenRevocation
from shared.connections.grant.secret_names import access_token_name, client_secret_name, refresh_token_name
from shared.connections.grant.token_requests import TokenRequests
from shared.connections.grant.tokens import AccessTokens
from shared.connections.model import Connection, ConnectionStatus, KindSettings, TicketKind
from shared.connections.status import ConnectionHealth
from shared.connections.turns import Turns
from shared.errors import CrossScopeRefused
from shared.outbound.transport import Transport
from shared.secret import Secret
from shared.servicenow.fields import record_fields
from shared.servicenow.probes import MARK
from shared.servicenow.queries import OURS
from shared.tenants.companies import TenantCompanies
from shared.tickets.deliver import begin_attempt
from shared.tickets.record_effects import delivered
from tests.contract.servicenow.conftest import PASSWORD, REDIRECT, ROLES, USER, Registered
from tests.fixtures.servicenow import WholeClient
from tests.memory.connection_store import MemoryConnectionStore
from tests.memory.directory import MemoryDirectory
from tests.memory.instance import MemoryRequesterDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.secret_store import MemorySecretStore
from tests.memory.tenant_store import MemoryTenantStore
from tests.memory.ticket_store import MemoryTicketStore
from tests.memory.trial_store import MemoryTrialStore
from tests.unit.tickets.examples import new_ticket, record_for

EGRESS = ("20.50.60.70", "20.50.60.71")


def now() -> datetime:
    return datetime.now(UTC)


class Checking:
    """A connection to the simulated instance, and its check."""

    def __init__(self, registered: Registered, client: WholeClient, control: ControlClient) -> None:
        self.registered = registered
        self.client = client
        self.control = control
        self.store = MemoryConnectionStore(registered.connection)
        self.secrets = MemorySecretStore()
        self.store.sync_states["main"] = SyncState(last_completed_at=now())
        self.tickets = MemoryTicketStore()
        self.trials = MemoryTrialStore()
        self.access_token = Secret("none yet")

    async def consent(self) -> None:
        """Get tokens by the password grant, which is fastest, and keep them as a consent does."""
        connection = self.registered.connection
        async with httpx.AsyncClient(trust_env=False, verify=False) as browser:
            answer = await browser.post(
                f"{connection.instance}/oauth_token.do",
                data={
                    "grant_type": "password",
                    "client_id": connection.client_id,
                    "client_secret": self.registered.client_secret.reveal(),
                    "username": USER,
                    "password": PASSWORD,
                },
            )
        tokens = answer.json()
        self.access_token = Secret(tokens["access_token"])
        name = connection.connection_id
        await self.secrets.set_secret(client_secret_name(name), self.registered.client_secret)
        await self.secrets.set_secret(refresh_token_name(name), Secret(tokens["refresh_token"]))
        version = await self.secrets.set_secret(access_token_name(name), Secret(tokens["access_token"]))
        self.change(
            status=ConnectionStatus.CONNECTED,
            integration_user_sys_id=self.registered.user_sys_id,
            consented_at=now(),
            consent_ends_at=now() + timedelta(days=100),
            access_token_version=version,
            access_token_expires_at=now() + timedelta(minutes=29),
            access_token_refresh_at=now() + timedelta(minutes=20),
        )

    def change(self, **changes: Any) -> None:
        """Change the stored connection."""
        stored = self.store.connections["main"]
        self.store.connections["main"] = replace(stored, **changes)

    async def run(
        self, *, dry_run: bool = False, egress: tuple[str, ...] = EGRESS, client: WholeClient | None = None
    ) -> CheckReport:
        """Check it."""
        servicenow = client or self.client
        health = ConnectionHealth(self.store, now)
        tokens = AccessTokens(
            connections=self.store,
            lease=Lease(MemoryLeaseStore(now), TOKENS),
            secrets=self.secrets,
            requests=TokenRequests(
                secrets=self.secrets,
                server=servicenow.oauth,
                users_with=servicenow.users.with_token,
                revocation=TokenRevocation(self.store, self.secrets, servicenow.oauth),
                clock=now,
                sleep=lambda _: asyncio.sleep(0),
            ),
            health=health,
            clock=now,
        )
        check = ConnectionCheck(
            connections=self.store,
            turns=Turns(MemoryDirectory(), self.store, now),
            tokens=tokens,
            server=servicenow.oauth,
            users=servicenow.users,
            probe=servicenow.probe,
            tickets=self.tickets,
            preflight=self.preflight(servicenow),
            clock=now,
            redirect_uri=REDIRECT,
            egress_addresses=egress,
            sync_interval_s=300,
        )
        return await check.run("main", dry_run=dry_run)

    def preflight(self, servicenow: WholeClient) -> Preflight:
        """Return the pre-flight, with the tokens of the consent."""
        servicenow.tokens.token = self.access_token
        return Preflight(
            columns=servicenow.columns,
            tickets=self.tickets,
            requesters=MemoryRequesterDirectory(),
            trials=self.trials,
            record_fields=record_fields,
            companies=TenantCompanies(MemoryTenantStore(), now),
            lease=Lease(MemoryLeaseStore(now), TEST_TICKETS),
            clock=now,
        )

    async def finding(self, name: CheckName, **options: Any) -> Finding:
        """Run the check and return one finding."""
        return found(await self.run(**options), name)


def found(report: CheckReport, name: CheckName) -> Finding:
    return next(each for each in report.findings if each.check is name)


def reasons(report: CheckReport) -> dict[CheckName, str]:
    return {each.check: each.reason for each in report.findings}


@pytest.fixture
def unauthorized(registered: Registered, client: WholeClient, control: ControlClient) -> Checking:
    return Checking(registered, client, control)


@pytest.fixture
async def checking(unauthorized: Checking, instance: Instance) -> Checking:
    instance.choices.plant()
    instance.records.insert("sys_db_object", {"name": "oauth_entity", "label": "Application Registries"})
    await unauthorized.consent()
    return unauthorized


def open_to_the_user(control: ControlClient) -> None:
    """Let the integration user see everything."""
    control.change_user(USER, roles=("admin",))


def exempt(control: ControlClient) -> None:
    """Make the integration user a member of the group that needs no second factor."""
    group = control.insert_record("sys_user_group", {"name": EXEMPTED_GROUP})
    [user] = control.records("sys_user", f"user_name={USER}")
    control.insert_record("sys_user_grmember", {"user": user["sys_id"], "group": group["sys_id"]})


# Nothing is wrong


@pytest.mark.usefixtures("either_text_comparison")
async def test_a_good_connection_has_no_failure(checking: Checking) -> None:
    report = await checking.run()
    assert not [each for each in report.findings if each.outcome is Outcome.FAILED], report.findings
    assert {each.check for each in report.findings} == set(CheckName)
    assert [each.check for each in report.findings] == list(CheckName)


async def test_an_administrator_as_integration_user_leaves_little_unknown(
    checking: Checking, control: ControlClient
) -> None:
    open_to_the_user(control)
    control.set_properties({"glide.buildtag": "glide-xanadu-07-02-2024__patch4-11-15-2024"})
    exempt(control)
    report = await checking.run(dry_run=True)
    assert not [each for each in report.findings if each.outcome is not Outcome.PASSED], report.findings
    assert found(report, CheckName.RELEASE).values["release"] == "Xanadu"
    assert found(report, CheckName.OAUTH_CLIENT).reason == "passed"
    assert found(report, CheckName.APPLICATION_REGISTRY).reason == "passed"


async def test_nothing_secret_is_in_a_report(checking: Checking) -> None:
    shown = str(await checking.run(dry_run=True))
    assert checking.secrets.readable
    assert not [text for text in checking.secrets.readable if text in shown]


# Reaching the instance


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hibernating", "hibernating"),
        ("bad_gateway", "server_error"),
        ("html_as_json", "passed"),
    ],
)
async def test_what_answers_in_the_apis_place(
    checking: Checking, control: ControlClient, fault: str, reason: str
) -> None:
    control.set_fault(fault, remaining=None)
    report = await checking.run()
    assert found(report, CheckName.REACHABLE).reason == reason


async def test_what_cannot_be_asked_names_what_is_in_its_way(checking: Checking, control: ControlClient) -> None:
    control.set_fault("hibernating")
    report = await checking.run()
    query = found(report, CheckName.QUERY_TASK)
    assert (query.reason, query.values["blocker"]) == ("not_checked", "reachable")
    assert found(report, CheckName.IP_FILTERING).reason == "not_checked"
    assert found(report, CheckName.CONSENT).reason == "passed"


async def test_an_unknown_host(checking: Checking) -> None:
    greeting = await checking.client.probe.greet("https://no-such-instance.invalid")
    assert greeting.reach.value == "host_unknown"


async def test_nobody_listens(checking: Checking) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        greeting = await checking.client.probe.greet(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert greeting.reach.value == "no_connection"


async def test_a_certificate_that_is_not_trusted() -> None:
    certificates = ensure_certificates()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.chain, certificates.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    stranger = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with server, aclosing(Transport(network=stranger)) as outbound:
        probe = WholeClient(outbound).probe
        greeting = await probe.greet(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert greeting.reach.value == "certificate_refused"


Respond = Callable[[bytes], bytes]


@asynccontextmanager
async def answering(respond: Respond) -> AsyncIterator[str]:
    """Serve something that answers every request in its own way; yield its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(respond(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def plain(status: str, content_type: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
    return ("\r\n".join([*lines, *headers]) + f"\r\n\r\n{body}").encode()


@pytest.mark.parametrize(
    ("answer", "reach"),
    [
        (plain("200 OK", "text/html", "<title>Parked domain</title>"), "not_the_api"),
        (plain("404 Not Found", "text/html", "nothing"), "not_the_api"),
        (plain("302 Found", "text/html", "", "Location: https://elsewhere.example/"), "redirects"),
        (plain("403 Forbidden", "text/html", "no"), "address_blocked"),
        (plain("503 Service Unavailable", "text/html", "maintenance"), "server_error"),
        (plain("429 Too Many Requests", "text/html", "busy"), "api"),
        (plain("401 Unauthorized", "text/html", "sign in", 'WWW-Authenticate: Basic realm="Service-now"'), "api"),
    ],
)
async def test_other_answers_than_the_apis(client: WholeClient, answer: bytes, reach: str) -> None:
    async with answering(lambda _: answer) as address:
        greeting = await client.probe.greet(address)
    assert greeting.reach.value == reach
    assert greeting.ahead_s is None


async def test_a_blocked_address_is_told_with_those_to_allow(checking: Checking, control: ControlClient) -> None:
    control.set_fault("address_blocked", remaining=None)
    blocked = await checking.finding(CheckName.IP_FILTERING)
    assert (blocked.reason, blocked.values["addresses"]) == ("blocked", ", ".join(EGRESS))
    report = await checking.run(egress=())
    assert found(report, CheckName.IP_FILTERING).reason == "blocked_addresses_unknown"
    assert found(report, CheckName.REST_ACCESS).values["blocker"] == "ip_filtering"


async def test_a_clock_that_is_wrong(checking: Checking) -> None:
    assert found(await checking.run(), CheckName.CLOCK).reason == "passed"
    async with aclosing(Transport(network=httpx.AsyncHTTPTransport(verify=False))) as outbound:
        slow = WholeClient(outbound, clock=lambda: datetime.now(UTC) - timedelta(minutes=10))
        clock = await checking.finding(CheckName.CLOCK, client=slow)
    assert clock.reason == "differs"
    assert 590 < int(clock.values["seconds"]) < 610


# OAuth


async def test_the_token_endpoint_refuses(checking: Checking, control: ControlClient) -> None:
    control.rotate_client_secret(checking.registered.connection.client_id)
    report = await checking.run()
    refused = found(report, CheckName.TOKEN_ENDPOINT)
    assert (refused.reason, refused.problem and refused.problem.code) == ("refused", "refresh_token_refused")
    assert found(report, CheckName.TICKETS_ARRIVE).reason == "reauthorize"
    # The remaining access token still works, but only for half an hour.
    assert found(report, CheckName.REST_ACCESS).reason == "not_checked"


@pytest.mark.parametrize(
    "switch", ["com.snc.platform.security.oauth.is.active", "simulator.acl.oauth_credential_for_users"]
)
async def test_switches_of_the_instance_that_keep_tokens_from_users(
    checking: Checking, control: ControlClient, switch: str
) -> None:
    control.set_properties({switch: False})
    assert (await checking.finding(CheckName.TOKEN_ENDPOINT)).reason == "refused"


async def test_no_oauth_at_all(checking: Checking, control: ControlClient) -> None:
    control.set_properties({"com.snc.platform.security.oauth.is.active": False})
    assert (await checking.finding(CheckName.SINGLE_SIGN_ON)).reason == "no_sign_in_page"


async def test_an_inactive_client(checking: Checking, control: ControlClient) -> None:
    control.change_oauth_client(checking.registered.connection.client_id, active=False)
    report = await checking.run()
    assert found(report, CheckName.TOKEN_ENDPOINT).reason == "refused"
    assert found(report, CheckName.OAUTH_CLIENT).reason == "unknown_client"


async def test_an_entry_that_is_not_active_is_seen_where_it_is_readable(
    client: WholeClient, connection: Connection, control: ControlClient, registered: Registered
) -> None:
    open_to_the_user(control)
    other = control.create_oauth_client("Other", f"{REDIRECT}, https://second.example/callback", active=False)
    record = await client.probe.client_record(connection, other["client_id"])
    assert record is not None
    assert record.active is False
    assert list(record.redirect_uris) == [REDIRECT, "https://second.example/callback"]
    assert await client.probe.client_record(connection, "f" * 32) is None
    assert await client.probe.client_record(connection, "a^ORactive=true") is None


async def test_another_redirect_address(checking: Checking, control: ControlClient) -> None:
    control.change_oauth_client(
        checking.registered.connection.client_id, redirect_url="https://elsewhere.example/callback"
    )
    by_page = await checking.finding(CheckName.OAUTH_CLIENT)
    assert (by_page.reason, by_page.values["redirect_uri"]) == ("redirect_missing", REDIRECT)
    open_to_the_user(control)
    control.set_properties({"simulator.oauth.redirect_uri_mismatch": "first_registered"})
    by_record = await checking.finding(CheckName.OAUTH_CLIENT)
    assert by_record.reason == "redirect_missing"


async def test_another_lifespan_than_the_connection_reckons_with(checking: Checking, control: ControlClient) -> None:
    open_to_the_user(control)
    control.change_oauth_client(checking.registered.connection.client_id, refresh_token_lifespan="7776000")
    lifespan = await checking.finding(CheckName.OAUTH_CLIENT)
    assert (lifespan.reason, lifespan.values["seconds"]) == ("lifespan_differs", "7776000")


async def test_before_anybody_has_consented(unauthorized: Checking) -> None:
    unauthorized.change(status=ConnectionStatus.AWAITING_AUTHORIZATION)
    report = await unauthorized.run()
    assert found(report, CheckName.TOKEN_ENDPOINT).reason == "answers"
    assert found(report, CheckName.OAUTH_CLIENT).reason == "known"
    assert found(report, CheckName.SINGLE_SIGN_ON).reason == "passed"
    assert found(report, CheckName.CONSENT).reason == "missing"
    assert found(report, CheckName.REST_ACCESS).reason == "not_authorized"
    assert found(report, CheckName.TICKETS_ARRIVE).reason == "authorize_missing"


async def test_an_unknown_client_shows_before_the_consent(unauthorized: Checking) -> None:
    unauthorized.change(status=ConnectionStatus.AWAITING_AUTHORIZATION, client_id="0" * 32)
    unknown = await unauthorized.finding(CheckName.OAUTH_CLIENT)
    assert (unknown.reason, unknown.values["client_id"]) == ("unknown_client", "0" * 32)


@pytest.mark.parametrize(
    ("answer", "serves"),
    [
        (plain("401 Unauthorized", "application/json", '{"error":"server_error"}'), True),
        (plain("404 Not Found", "text/html", "no such page"), False),
        (plain("200 OK", "text/html", "welcome"), False),
    ],
)
async def test_whether_tokens_are_served(client: WholeClient, answer: bytes, serves: bool) -> None:
    async with answering(lambda _: answer) as address:
        assert await client.probe.serves_tokens(address) is serves


async def test_the_table_of_clients_closed_to_other_scopes(checking: Checking, control: ControlClient) -> None:
    assert (await checking.finding(CheckName.APPLICATION_REGISTRY)).reason == "unreadable", "itil is not enough"
    control.change_user(USER, roles=(*ROLES, "personalize_dictionary"))
    assert (await checking.finding(CheckName.APPLICATION_REGISTRY)).reason == "passed"
    [row] = control.records("sys_db_object", "name=oauth_entity")
    control.change_record("sys_db_object", row["sys_id"], {"read_access": "false"})
    assert (await checking.finding(CheckName.APPLICATION_REGISTRY)).reason == "closed"
    control.change_record("sys_db_object", row["sys_id"], {"read_access": "true", "access": "package_private"})
    assert (await checking.finding(CheckName.APPLICATION_REGISTRY)).reason == "closed"
    control.change_user(USER, roles=("sn_incident_write", "sn_change_write"))
    assert (await checking.finding(CheckName.APPLICATION_REGISTRY)).reason == "unreadable"


# Signing in


async def test_single_sign_on(checking: Checking, control: ControlClient) -> None:
    control.create_user("megan.bowen")
    control.set_properties({"simulator.single_sign_on.user": "megan.bowen"})
    assert (await checking.finding(CheckName.SINGLE_SIGN_ON)).reason == "connected"
    checking.change(status=ConnectionStatus.AWAITING_AUTHORIZATION, consented_at=None)
    in_the_way = await checking.finding(CheckName.SINGLE_SIGN_ON)
    assert in_the_way.reason == "in_the_way"
    assert in_the_way.values["address"].endswith("/identity_provider/sign_in")


async def test_an_identity_provider_elsewhere_is_named_but_not_visited(client: WholeClient) -> None:
    answer = plain(
        "302 Found", "text/html", "", "Location: https://login.microsoftonline.com/common/saml2?SAMLRequest=x"
    )
    async with answering(lambda _: answer) as address:
        page = await client.probe.sign_in_page(f"{address}/oauth_auth.do?client_id=c")
    assert (page.leads_to.value, page.address) == ("elsewhere", "https://login.microsoftonline.com/common/saml2")


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://user:canary@login.example/in;jsessionid=canary?canary#canary", "https://login.example/in"),
        ("//login.example/a\u00ad\u00a0b", "http://login.example/a b"),
        ("https://login.example/" + "x" * 5000, f"https://login.example/{'x' * 177}…"),
        ("javascript:alert(1)", None),
        ("http://[", None),
        ("https:///in", None),
        ("data:text/html,canary", None),
    ],
)
async def test_an_address_from_an_answer_is_one_short_line(
    client: WholeClient, location: str, shown: str | None
) -> None:
    answer = plain("302 Found", "text/html", "", f"Location: {location}")
    async with answering(lambda _: answer) as address:
        page = await client.probe.sign_in_page(f"{address}/oauth_auth.do?client_id=canary")
    assert page.leads_to.value == "elsewhere"
    assert page.address == (shown or f"{address}/oauth_auth.do")


async def test_endless_redirects_end(client: WholeClient) -> None:
    async with answering(lambda _: plain("302 Found", "text/html", "", "Location: /again")) as address:
        page = await client.probe.sign_in_page(f"{address}/oauth_auth.do")
    assert page.leads_to.value == "elsewhere"


async def test_somebody_elses_access(checking: Checking, control: ControlClient) -> None:
    checking.change(integration_user="somebody.else")
    wrong = await checking.finding(CheckName.SIGNED_IN_USER)
    assert (wrong.reason, wrong.values["user"]) == ("wrong_user", USER)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"web_service_access_only": True}, "web_service_only"),
        ({"time_zone": "Asia/Tokyo"}, "passed"),
    ],
)
async def test_the_integration_users_account(
    checking: Checking, control: ControlClient, columns: dict[str, Any], reason: str
) -> None:
    control.change_user(USER, **columns)
    assert (await checking.finding(CheckName.USER_ACCOUNT)).reason == reason


@pytest.mark.parametrize("columns", [{"active": False}, {"locked_out": True}, {"password_needs_reset": True}])
async def test_an_account_that_gets_no_tokens(
    checking: Checking, control: ControlClient, columns: dict[str, Any]
) -> None:
    control.change_user(USER, **columns)
    report = await checking.run()
    assert found(report, CheckName.TOKEN_ENDPOINT).reason == "refused"


@pytest.mark.usefixtures("either_text_comparison")
async def test_roles_where_they_are_readable(checking: Checking, control: ControlClient) -> None:
    assert (await checking.finding(CheckName.USER_ROLES)).reason == "unreadable"
    control.set_properties({"simulator.acl.sys_user_has_role_for_admin_only": False})
    report = await checking.run()
    assert found(report, CheckName.USER_ROLES).reason == "passed"
    assert found(report, CheckName.CREATE_INCIDENT).reason == "by_roles"
    control.change_user(USER, roles=("sn_incident_write",))
    report = await checking.run()
    missing = found(report, CheckName.USER_ROLES)
    assert (missing.reason, missing.values["wanted"]) == ("missing", "itil, sn_change_write")
    assert found(report, CheckName.CREATE_CHANGE).reason == "role_missing"
    assert found(report, CheckName.CREATE_INCIDENT).reason == "by_roles"


# The REST API


async def test_rest_access_controls(checking: Checking, control: ControlClient) -> None:
    control.set_properties({"simulator.rest_endpoint_acl.active": True})
    assert (await checking.finding(CheckName.REST_ACCESS)).reason == "rights_missing"


async def test_a_client_restricted_to_scopes(checking: Checking, control: ControlClient) -> None:
    control.change_oauth_client(checking.registered.connection.client_id, scope_restriction_status="restricted")
    report = await checking.run()
    assert found(report, CheckName.REST_ACCESS).reason == "scope_missing"
    assert found(report, CheckName.TOKEN_ENDPOINT).reason == "passed"


async def test_an_access_policy(checking: Checking, control: ControlClient) -> None:
    control.insert_record("sys_api_access_policy", {"name": "Basic only", "auth_types": "basic"})
    report = await checking.run()
    assert found(report, CheckName.TOKEN_ENDPOINT).reason == "passed"
    assert found(report, CheckName.REST_ACCESS).reason == "token_refused"


async def test_rate_limits(checking: Checking, control: ControlClient) -> None:
    control.add_rate_limit(1000)
    enough = await checking.finding(CheckName.RATE_LIMITS)
    assert (enough.reason, enough.values["limit"]) == ("enough", "1000")
    control.clear_rate_limits()
    control.add_rate_limit(50)
    low = await checking.finding(CheckName.RATE_LIMITS)
    assert (low.reason, low.values) == ("too_low", {"limit": "50", "needed": "72"})


async def test_a_rate_limit_that_is_used_up(checking: Checking, control: ControlClient) -> None:
    control.set_fault("rate_limited", remaining=None)
    report = await checking.run()
    assert found(report, CheckName.RATE_LIMITS).reason == "reached"
    assert found(report, CheckName.REST_ACCESS).reason == "passed"
    assert found(report, CheckName.QUERY_TASK).reason == "no_answer"


async def test_range_and_sort_forbidden(checking: Checking, instance: Instance) -> None:
    instance.access.add(AccessRule("task", "query_range", frozenset({"admin"}), field="sys_updated_on"))
    refused = await checking.finding(CheckName.QUERY_TASK)
    assert (refused.reason, refused.problem and refused.problem.code) == ("refused", "query_refused")


async def test_a_kind_that_may_not_be_read(checking: Checking, control: ControlClient) -> None:
    control.insert_record("change_request", {"short_description": "There is one"})
    control.change_user(USER, roles=("sn_incident_write",))
    report = await checking.run()
    assert found(report, CheckName.READ_INCIDENT).reason == "passed"
    refused = found(report, CheckName.READ_CHANGE)
    assert refused.reason == "refused"
    assert found(report, CheckName.OWN_TICKETS).reason == "none_yet"


async def test_records_that_are_counted_but_not_shown(checking: Checking, control: ControlClient) -> None:
    control.set_properties({"simulator.domain_separation.active": True})
    record = control.insert_record("incident", {"short_description": "In another domain"})
    control.hide_record("incident", record["sys_id"])
    hidden = await checking.finding(CheckName.READ_INCIDENT)
    assert (hidden.reason, hidden.problem and hidden.problem.code) == ("refused", "records_not_visible")


async def test_a_kind_that_is_not_enabled_is_not_checked(checking: Checking) -> None:
    kinds = {TicketKind.INCIDENT: KindSettings(), TicketKind.CHANGE: KindSettings(enabled=False)}
    checking.change(kinds=kinds)
    report = await checking.run(dry_run=True)
    assert not {CheckName.READ_CHANGE, CheckName.CREATE_CHANGE} & set(reasons(report))
    assert not checking.control.records("change_request", f"correlation_idSTARTSWITH{MARK}")


@pytest.mark.parametrize(("stores", "reason"), [("kept", "passed"), ("cut", "shortened"), ("replaced", "shortened")])
async def test_texts(stores: str, reason: str, checking: Checking, control: ControlClient) -> None:
    control.set_properties({"simulator.text_beyond_bmp": stores})
    assert (await checking.finding(CheckName.TEXTS_KEPT)).reason == "dry_run_needed"
    assert (await checking.finding(CheckName.TEXTS_KEPT, dry_run=True)).reason == reason


async def test_choice_lists(checking: Checking, control: ControlClient) -> None:
    assert (await checking.finding(CheckName.CHOICE_LABELS)).reason == "passed"
    control.set_properties({"simulator.acl.sys_choice_for_admin_only": True})
    assert (await checking.finding(CheckName.CHOICE_LABELS)).reason == "refused"


@pytest.mark.usefixtures("either_text_comparison")
async def test_what_an_instance_offers(checking: Checking, control: ControlClient) -> None:
    for name, active in (("Security", "true"), ("Retired", "false"), ("Audit", "true")):
        control.insert_record("sys_user_group", {"name": name, "active": active})
    control.add_choice("incident", "state", "-10", "Awaiting Vendor")
    catalogue, connection = checking.client.catalogue, checking.registered.connection
    token = await checking.secrets.get_secret(access_token_name("main"))
    assert token is not None
    checking.client.tokens.token = token
    groups = await catalogue.assignment_groups(connection)
    assert groups is not None
    assert [group.label for group in groups] == ["Audit", "Security"]
    for name in ("Fabrikam", "Contoso"):
        control.insert_record("core_company", {"name": name})
    companies = await catalogue.companies(connection)
    assert companies is not None
    assert [company.label for company in companies] == ["Contoso", "Fabrikam"]
    states = await catalogue.choices(connection, TicketKind.INCIDENT, "state")
    assert states is not None
    assert (states[0].value, states[0].label) == ("1", "New")
    assert (states[-1].value, states[-1].label) == ("-10", "Awaiting Vendor")
    priorities = await catalogue.choices(connection, TicketKind.CHANGE, "priority")
    assert priorities is not None, "a table without its own choices has the parent table's"
    assert await catalogue.choices(connection, TicketKind.CHANGE, "no_such_column") is None
    control.set_properties({"simulator.acl.sys_choice_for_admin_only": True})
    assert await catalogue.choices(connection, TicketKind.INCIDENT, "state") is None


async def test_an_old_release(checking: Checking, control: ControlClient) -> None:
    assert (await checking.finding(CheckName.RELEASE)).reason == "unreadable"
    open_to_the_user(control)
    control.set_properties({"glide.buildtag": "glide-jakarta-05-03-2017__patch9-06-04-2018"})
    old = await checking.finding(CheckName.RELEASE)
    assert (old.reason, old.values["release"]) == ("too_old", "Jakarta")


async def test_a_hidden_release_is_shown_by_what_works(checking: Checking) -> None:
    assert (await checking.finding(CheckName.RELEASE)).reason == "unreadable"
    assert (await checking.finding(CheckName.RELEASE, dry_run=True)).reason == "by_tickets"


# The second factor


async def test_the_second_factor(checking: Checking, control: ControlClient) -> None:
    assert (await checking.finding(CheckName.MULTIFACTOR)).reason == "nobody_named"
    checking.change(second_factor_holder="Ada")
    named = await checking.finding(CheckName.MULTIFACTOR)
    assert (named.reason, named.values["holder"]) == ("named", "Ada")
    exempt(control)
    assert (await checking.finding(CheckName.MULTIFACTOR)).reason == "exempted"


async def test_another_member_of_the_group_exempts_nobody_else(
    checking: Checking, control: ControlClient, instance: Instance
) -> None:
    """If ServiceNow drops the condition on the group, it answers with another group's member (ServiceNow §2.3)."""
    group = control.insert_record("sys_user_group", {"name": "Service Desk"})
    [user] = control.records("sys_user", f"user_name={USER}")
    control.insert_record("sys_user_grmember", {"user": user["sys_id"], "group": group["sys_id"]})
    instance.access.add(AccessRule("sys_user_group", "read", ADMIN_ONLY))
    assert (await checking.finding(CheckName.MULTIFACTOR)).reason == "nobody_named"


# Our own tickets


async def deliver(checking: Checking, *, hidden: bool = False, replaced: bool = False) -> str:
    proposed = "0" * 31 + "1"
    record = checking.control.insert_record(
        "incident", {"short_description": "Delivered", "correlation_id": f"m365:{proposed}"}, as_user=USER
    )
    if hidden:
        checking.control.hide_record("incident", record["sys_id"])
    sys_id = record["sys_id"]
    waiting = new_ticket(now(), connection_id="main", ticket_id=proposed if replaced else sys_id)
    sent = begin_attempt(replace(waiting, instance=checking.registered.connection.instance), now())
    await checking.tickets.create_ticket(delivered(sent, record_for(sent, sys_id=sys_id), now()))
    return sys_id


async def test_delivered_tickets_prove_what_works(checking: Checking) -> None:
    await deliver(checking)
    report = await checking.run()
    assert found(report, CheckName.OWN_TICKETS).values == {"seen": "1", "total": "1"}
    assert found(report, CheckName.CREATE_INCIDENT).reason == "by_tickets"
    assert found(report, CheckName.CREATE_CHANGE).reason == "dry_run_needed"
    assert found(report, CheckName.CLIENT_SYS_ID).reason == "passed"
    assert found(report, CheckName.TICKETS_ARRIVE).reason == "passed"


async def test_tickets_in_another_domain(checking: Checking, control: ControlClient) -> None:
    control.set_properties({"simulator.domain_separation.active": True})
    await deliver(checking, hidden=True)
    hidden = await checking.finding(CheckName.OWN_TICKETS)
    assert (hidden.reason, hidden.values) == ("hidden", {"seen": "0", "total": "1"})


async def test_ids_that_were_replaced(checking: Checking) -> None:
    await deliver(checking, replaced=True)
    assert (await checking.finding(CheckName.CLIENT_SYS_ID)).reason == "replaced"


# The dry run


def marked(control: ControlClient, table: str) -> list[dict[str, str]]:
    return control.records(table, f"correlation_idSTARTSWITH{MARK}")


@pytest.mark.usefixtures("either_text_comparison")
async def test_the_dry_run_leaves_nothing_open_and_nothing_to_synchronise(
    checking: Checking, control: ControlClient
) -> None:
    report = await checking.run(dry_run=True)
    assert report.left_open == []
    for table, state in (("incident", "8"), ("change_request", "4")):
        [record] = marked(control, table)
        assert (record["active"], record["state"]) == ("false", state)
        assert "connection check" in record["short_description"].lower()
    assert not control.records("task", OURS)
    assert found(report, CheckName.OWN_TICKETS).values == {"seen": "2", "total": "2"}
    assert found(report, CheckName.CLIENT_SYS_ID).reason == "passed"


async def test_without_a_dry_run_nothing_is_written(checking: Checking, control: ControlClient) -> None:
    control.clear_requests()
    await checking.run()
    written = [each for each in control.requests("^/api/") if each["method"] != "GET"]
    assert written == []


async def test_the_dry_run_has_the_defaults_of_the_kind(checking: Checking, control: ControlClient) -> None:
    group = control.insert_record("sys_user_group", {"name": "Security"})["sys_id"]
    settings = KindSettings(assignment_group=group, category="network")
    checking.change(kinds={TicketKind.INCIDENT: settings, TicketKind.CHANGE: KindSettings(enabled=False)})
    await checking.run(dry_run=True)
    [record] = marked(control, "incident")
    assert (record["assignment_group"], record["category"], record["priority"]) == (group, "network", "5")


async def test_a_dry_run_that_may_not_create(checking: Checking, control: ControlClient) -> None:
    control.change_user(USER, roles=("sn_incident_read", "sn_change_write"))
    report = await checking.run(dry_run=True)
    refused = found(report, CheckName.CREATE_INCIDENT)
    assert (refused.reason, refused.problem and refused.problem.code) == ("refused", "insufficient_rights")
    assert found(report, CheckName.CREATE_CHANGE).reason == "created"


async def test_a_record_that_cannot_be_closed_is_named(checking: Checking, instance: Instance) -> None:
    instance.access.add(AccessRule("incident", "write", frozenset({"admin"}), field="state"))
    report = await checking.run(dry_run=True)
    left = found(report, CheckName.CREATE_INCIDENT)
    assert left.reason == "left_open"
    assert report.left_open == [left.values["number"]]
    [record] = marked(checking.control, "incident")
    assert (record["number"], record["active"]) == (left.values["number"], "true")


class DemandsResolution(httpx.AsyncHTTPTransport):
    """Stands in for an instance whose data policy requires a resolution for canceled incidents too."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and b'"close_code"' not in await request.aread():
            detail = "Data Policy Exception: \n\tThe following fields are mandatory: Resolution code, Close notes"
            error = {"message": "Operation Failed", "detail": detail}
            body = json.dumps({"error": error, "status": "failure"}).encode()
            return httpx.Response(403, headers={"Content-Type": "application/json"}, stream=httpx.ByteStream(body))
        return await super().handle_async_request(request)


async def test_a_resolution_is_given_where_a_data_policy_asks_for_it(
    checking: Checking, control: ControlClient
) -> None:
    async with aclosing(Transport(network=DemandsResolution(verify=False))) as outbound:
        report = await checking.run(dry_run=True, client=WholeClient(outbound))
    assert report.left_open == []
    [record] = marked(control, "incident")
    assert (record["state"], record["close_code"]) == ("8", "Duplicate")
    assert record["close_notes"]


async def test_an_answer_lost_after_the_record_was_made(checking: Checking, control: ControlClient) -> None:
    control.set_fault("reset_after_commit", method="POST", path="^/api/now/table/incident")
    report = await checking.run(dry_run=True)
    assert found(report, CheckName.CREATE_INCIDENT).reason == "created"
    [record] = marked(control, "incident")
    assert record["active"] == "false"


async def test_an_answer_lost_before_the_record_was_made(checking: Checking, control: ControlClient) -> None:
    control.set_fault("reset_before_commit", method="POST", path="^/api/now/table/incident")
    report = await checking.run(dry_run=True)
    assert found(report, CheckName.CREATE_INCIDENT).reason == "outcome_unknown"
    assert report.left_open == []


async def test_replaced_ids_in_the_dry_run(checking: Checking, control: ControlClient) -> None:
    control.set_properties({"simulator.supplied_sys_id": "replaced"})
    report = await checking.run(dry_run=True)
    assert found(report, CheckName.CLIENT_SYS_ID).reason == "replaced"
    assert found(report, CheckName.CREATE_INCIDENT).reason == "created"


async def test_a_refusal_by_cross_scope_policy(client: WholeClient, registered: Registered) -> None:
    body = (
        '{"error":{"message":"Operation Failed","detail":"Read operation against \'oauth_entity\' from scope '
        '\'x_mioms_m365ticket\' has been refused due to the table\'s cross-scope access policy"},"status":"failure"}'
    )
    async with answering(lambda _: plain("403 Forbidden", "application/json", body)) as address:
        with pytest.raises(Exception, match="cross_scope_refused") as caught:
            await client.probe.registry_table(replace(registered.connection, instance=address))
    assert isinstance(caught.value, CrossScopeRefused)
