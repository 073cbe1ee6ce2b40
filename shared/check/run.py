"""The connection check: looks at everything that a connection needs, and reports what it found.

Independent requests run at the same time. Every request has a time limit, and so has the whole check. A failure becomes
a finding, never an error.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from shared.background import begun
from shared.check import rules as rules
from shared.check.findings import CheckName, Finding, Outcome, finding
from shared.check.observations import (
    Account,
    ClientRecord,
    Delivered,
    Greeting,
    InstanceProbe,
    MarkedRecord,
    RateLimit,
    Reach,
    RegistryTable,
    SignInPage,
    TicketFacts,
)
from shared.check.observe import Observed, Unobserved, observe
from shared.check.preflight.model import KindOutlook
from shared.check.preflight.run import DryRun, Preflight
from shared.check.preflight.trial import NOBODY
from shared.clock import Clock
from shared.connections.grant.pkce import code_challenge, new_code_verifier
from shared.connections.grant.tokens import AccessTokens
from shared.connections.lookup import get_known_connection
from shared.connections.model import Connection, TicketKind
from shared.connections.ports import (
    AuthorizationServer,
    ConnectionStore,
    ServiceNowUser,
    UserDirectory,
    UserRoles,
)
from shared.connections.turns import Turns
from shared.errors import TryLater
from shared.log import log_event
from shared.secret import Secret
from shared.service import service
from shared.tickets.model import Delivery, EventKind, Phase, Requester
from shared.tickets.ports import TicketFilter, TicketStore
from shared.value_object import value_object

NEWEST: Final = 10
"""How many delivered tickets of each kind are looked for in ServiceNow."""
GREETING_S: Final = 8.0
TOKENS_S: Final = 15.0
LOOKS_S: Final = 20.0
"""Limit for all looks at the instance together."""
CONCURRENT_LOOKS: Final = 6
UNBROKEN_S: Final = 120.0
"""Longer than refreshing a token can take."""
BEFORE_CONSENT_S: Final = 5.0
"""A person waits for the page that shows the result."""

_NEEDS_ACCESS: Final = (
    CheckName.APPLICATION_REGISTRY,
    CheckName.SIGNED_IN_USER,
    CheckName.USER_ACCOUNT,
    CheckName.USER_ROLES,
    CheckName.REST_ACCESS,
    CheckName.QUERY_TASK,
    *(CheckName.about(topic, kind) for topic in ("read", "create", "fields") for kind in TicketKind),
    CheckName.OWN_TICKETS,
    CheckName.CHOICE_LABELS,
    CheckName.CLIENT_SYS_ID,
    CheckName.TEXTS_KEPT,
    CheckName.RATE_LIMITS,
    CheckName.RELEASE,
)
_NEEDS_ANSWERS: Final = (CheckName.CLOCK, CheckName.SINGLE_SIGN_ON, CheckName.TOKEN_ENDPOINT, CheckName.OAUTH_CLIENT)


type Note = Callable[[Sequence[Finding]], None]


def _nobody_looks(_: Sequence[Finding]) -> None:
    """Note nothing: the caller waits for the report."""


@value_object
class CheckReport:
    """What a check found.

    Attributes:
        findings: In the order in which they are shown; those of kinds that are not enabled are left out.
        left_open: Numbers of records that a dry run created but could not close.
    """

    connection: Connection
    checked_at: datetime
    dry_run: bool
    findings: Sequence[Finding]
    left_open: Sequence[str]


@service
class ConnectionCheck:
    """Checks connections.

    Attributes:
        redirect_uri: The redirect address that has to be registered.
        egress_addresses: The addresses that ServiceNow has to let in; empty if the operator has not listed them.
    """

    connections: ConnectionStore
    turns: Turns
    tokens: AccessTokens
    server: AuthorizationServer
    users: UserDirectory
    probe: InstanceProbe
    tickets: TicketStore
    preflight: Preflight
    clock: Clock
    redirect_uri: str
    egress_addresses: Sequence[str]
    sync_interval_s: int

    def total(self, connection: Connection) -> int:
        """Return how many findings a check of the connection has."""
        return len(_shown([finding(name, "not_checked") for name in CheckName], connection))

    async def run(
        self, connection_id: str, *, dry_run: bool, requester: Requester = NOBODY, note: Note = _nobody_looks
    ) -> CheckReport:
        """Check a connection.

        Args:
            connection_id: Id of the connection.
            dry_run: Whether to create and cancel a test ticket of each enabled kind.
            requester: In whose name test tickets are made.
            note: Called with all that has been found so far, each time there is more.

        Raises:
            FixRequest: 400 ``invalid_connection_id``, 404 ``connection_not_found``.
            StorageUnavailable: The connection cannot be read.
        """
        connection = await get_known_connection(self.connections, connection_id)
        greeting, facts = await asyncio.gather(
            self._greet(connection, GREETING_S), observe(lambda: self._ticket_facts(connection), GREETING_S)
        )
        findings = [rules.reachable(greeting, connection), rules.ip_filtering(greeting, self.egress_addresses)]
        noted = _Noted(connection, note, findings)
        dry_runs: Mapping[TicketKind, DryRun] = {}
        if greeting.reach is Reach.API:
            findings.append(rules.clock(greeting))
            asked, dry_runs = await self._ask(connection, facts, requester, noted, dry_run=dry_run)
            findings += asked
        else:
            is_blocked = greeting.reach is Reach.ADDRESS_BLOCKED
            blocker = CheckName.IP_FILTERING if is_blocked else CheckName.REACHABLE
            findings += [rules.blocked(name, blocker) for name in (*_NEEDS_ANSWERS, *_NEEDS_ACCESS)]
            findings.append(rules.multifactor(connection, None))
        # Read it again: the check has noted a refused refresh, or a real answer, on the connection.
        connection = await self.connections.get_connection(connection_id) or connection
        now = self.clock()
        findings += [
            rules.consent(connection, now),
            rules.tickets_arrive(connection, facts, self.sync_interval_s, now),
        ]
        records = [(each.created, each.closed) for each in dry_runs.values()]
        report = CheckReport(
            connection=connection,
            checked_at=now,
            dry_run=dry_run,
            findings=_shown(findings, connection),
            left_open=[record.number for record, closed in records if isinstance(record, MarkedRecord) and not closed],
        )
        _log(report)
        return report

    async def before_consent(self, connection: Connection) -> Sequence[Finding]:
        """Return what can be found out within a few seconds, before anybody has consented."""
        greeting = await self._greet(connection, BEFORE_CONSENT_S)
        findings = [rules.reachable(greeting, connection), rules.ip_filtering(greeting, self.egress_addresses)]
        if greeting.reach is not Reach.API:
            return findings
        page = await observe(lambda: self._sign_in_page(connection), BEFORE_CONSENT_S)
        findings += [self._oauth_client(None, page, connection), rules.single_sign_on(page, connection)]
        return _shown(findings, connection)

    async def _ask(
        self,
        connection: Connection,
        facts: Observed[TicketFacts],
        requester: Requester,
        noted: _Noted,
        *,
        dry_run: bool,
    ) -> tuple[list[Finding], Mapping[TicketKind, DryRun]]:
        """Ask an instance that answers."""
        noted.so_far([])
        page_look = observe(lambda: self._sign_in_page(connection), LOOKS_S)
        if rules.awaits_consent(connection):
            page, serves = await asyncio.gather(
                page_look, observe(lambda: self.probe.serves_tokens(connection.instance), LOOKS_S)
            )
            findings = [
                rules.token_endpoint(None, serves, connection),
                self._oauth_client(None, page, connection),
                rules.single_sign_on(page, connection),
                rules.multifactor(connection, None),
                *(finding(name, "not_authorized") for name in _NEEDS_ACCESS),
            ]
            return findings, {}
        page, refreshed = await asyncio.gather(
            page_look, _observe_to_the_end(self.tokens.refresh(connection), TOKENS_S)
        )
        token = await _observe_to_the_end(self.tokens.access_token(connection), TOKENS_S)
        findings = [rules.token_endpoint(refreshed, None, connection), rules.single_sign_on(page, connection)]
        noted.so_far(findings)
        given = not isinstance(refreshed, Unobserved)
        # If the consent is refused, an older access token says nothing about it.
        if isinstance(token, Unobserved) or rules.is_consent_refused(refreshed):
            findings += [rules.blocked(name, CheckName.TOKEN_ENDPOINT) for name in _NEEDS_ACCESS]
            findings.append(rules.multifactor(connection, None))
            return [*findings, self._oauth_client(None, page, connection, token_given=given)], {}
        delivered = () if isinstance(facts, Unobserved) else facts.delivered

        def found(looks: _Looks) -> Sequence[Finding]:
            return [
                *findings,
                *_if_seen(looks.client, lambda seen: self._oauth_client(seen, page, connection, token_given=given)),
                *self._meaning(looks, connection, delivered, None if dry_run else {}, token_given=given),
            ]

        looks = await self._look(token, connection, delivered, lambda looks: noted.so_far(found(looks)))
        probe = self.probe.with_token(token)
        dry_runs = await self._dry_runs(probe, connection, requester) if dry_run else {}
        whole = self._whole(looks, connection, delivered, dry_runs, token_given=given)
        noted.so_far([*findings, self._oauth_client(looks.client, page, connection, token_given=given), *whole])
        outlooks = await observe(lambda: self.preflight.look(connection, probe, requester), LOOKS_S)
        findings += [
            self._oauth_client(looks.client, page, connection, token_given=given),
            *whole,
            *_fields(outlooks, connection),
        ]
        return findings, dry_runs

    async def _dry_runs(
        self, probe: InstanceProbe, connection: Connection, requester: Requester
    ) -> Mapping[TicketKind, DryRun]:
        """Make test tickets; what was seen of them is in the report even if it cannot be remembered."""
        kinds = rules.enabled_kinds(connection)
        try:
            return await self.preflight.try_out(connection, kinds, probe, requester)
        except TryLater as error:
            return {kind: DryRun("", Unobserved("no_answer", error)) for kind in kinds}

    async def _look(
        self,
        token: Secret,
        connection: Connection,
        delivered: Sequence[Delivered],
        seen: Callable[[_Looks], None],
    ) -> _Looks:
        """Look at everything that an access token lets us see; ``seen`` is called after each look."""
        # Use this token for all calls: the findings must be about the token that was just issued.
        probe, users = self.probe.with_token(token), self.users.with_token(token)
        turn = asyncio.Semaphore(CONCURRENT_LOOKS)
        kinds = rules.enabled_kinds(connection)
        looks = _Looks(kinds)

        async with asyncio.TaskGroup() as group:

            def look[Value](call: Callable[[], Awaitable[Value]], keep: Callable[[Observed[Value]], None]) -> None:
                async def in_turn() -> Value:
                    async with turn:
                        return await call()

                async def kept() -> None:
                    keep(await observe(in_turn, LOOKS_S))
                    seen(looks)

                group.create_task(kept())

            def into(name: str) -> Callable[[object], None]:
                return partial(setattr, looks, name)

            look(lambda: probe.rate_limit(connection), into("limit"))
            look(lambda: users.current_user(connection), into("user"))
            look(lambda: _account(probe, connection), into("account"))
            look(lambda: _roles(users, connection), into("roles"))
            look(lambda: probe.query_by_time(connection), into("by_time"))
            for kind in kinds:
                look(partial(probe.read_kind, connection, kind), partial(looks.reads.__setitem__, kind))
            look(lambda: probe.visible(connection, [each.sys_id for each in delivered]), into("visible"))
            for kind in kinds:
                look(partial(probe.may_read_choices, connection, kind), looks.choices.append)
            look(lambda: probe.client_record(connection, connection.client_id), into("client"))
            look(lambda: probe.registry_table(connection), into("registry"))
            look(lambda: probe.release(connection), into("release"))
            look(lambda: _is_seen_exempted(probe, connection), into("exempted"))
        return looks

    def _meaning(
        self,
        looks: _Looks,
        connection: Connection,
        delivered: Sequence[Delivered],
        dry_runs: Mapping[TicketKind, DryRun] | None,
        *,
        token_given: bool,
    ) -> list[Finding]:
        """Return what has been found so far.

        Args:
            dry_runs: None while test tickets are still to be made: what they will show is not said yet.
        """
        exempted, roles, visible = looks.exempted, looks.roles, looks.visible
        findings = [
            *_if_seen(exempted, lambda seen: rules.multifactor(connection, seen)),
            *_if_seen(looks.registry, rules.application_registry),
            *_if_seen(looks.user, lambda seen: rules.signed_in_user(seen, connection)),
            *_if_seen(looks.account, lambda seen: rules.user_account(seen, connection)),
            *_if_seen(looks.limit, lambda seen: rules.rest_access(seen, token_given=token_given)),
            *_if_seen(looks.by_time, lambda seen: rules.asked(CheckName.QUERY_TASK, seen)),
            *(rules.asked(CheckName.about("read", kind), answer) for kind, answer in looks.reads.items()),
            *([rules.choice_labels(looks.choices)] if len(looks.choices) == len(looks.kinds) else []),
            *_if_seen(looks.limit, lambda seen: rules.rate_limits(seen, self.sync_interval_s)),
        ]
        if dry_runs is None:
            return findings
        if roles is not _NOT_SEEN:
            findings.append(rules.user_roles(roles, connection, delivered, dry_runs))
            findings += [rules.create(kind, dry_runs.get(kind), delivered, roles) for kind in looks.kinds]
        return [
            *findings,
            *_if_seen(visible, lambda seen: rules.own_tickets(seen, delivered, dry_runs.values())),
            rules.client_sys_id(delivered, dry_runs.values()),
            rules.texts_kept(delivered, dry_runs.values()),
        ]

    def _whole(
        self,
        looks: _Looks,
        connection: Connection,
        delivered: Sequence[Delivered],
        dry_runs: Mapping[TicketKind, DryRun],
        *,
        token_given: bool,
    ) -> list[Finding]:
        """Return what all looks together mean."""
        findings = self._meaning(looks, connection, delivered, dry_runs, token_given=token_given)
        works = rules.works(findings, connection)
        return [*findings, rules.release(looks.release, connection, token_given=token_given, works=works)]

    async def _ticket_facts(self, connection: Connection) -> TicketFacts:
        connection_id = connection.connection_id
        summary, sync_state, oldest_pending, newest = await asyncio.gather(
            self.tickets.get_summary(connection_id),
            self.turns.sync_state(connection),
            self.tickets.list_pending(connection_id, limit=1),
            asyncio.gather(*(self._delivered(connection, kind) for kind in TicketKind)),
        )
        return TicketFacts(
            pending=summary.total(Delivery.PENDING),
            pending_since_at=oldest_pending[0].created_at if oldest_pending else None,
            failed=summary.total(Delivery.FAILED),
            delivered=[each for some in newest for each in some],
            last_sync_at=sync_state.last_completed_at,
        )

    async def _delivered(self, connection: Connection, kind: TicketKind) -> list[Delivered]:
        wanted = TicketFilter(kind=kind, delivery=Delivery.DELIVERED)
        tickets = await self.tickets.list_tickets([connection.connection_id], wanted, limit=NEWEST)
        return [
            Delivered(
                kind,
                ticket.ticket_id,
                ticket.record.sys_id,
                texts_kept=all(event.kind is not EventKind.SHORTENED for event in ticket.timeline),
            )
            for ticket in tickets
            if ticket.record is not None and ticket.is_of(connection) and ticket.phase is not Phase.DELETED
        ]

    def _oauth_client(
        self,
        record: Observed[ClientRecord | None] | None,
        page: Observed[SignInPage],
        connection: Connection,
        *,
        token_given: bool = False,
    ) -> Finding:
        return rules.oauth_client(
            record, page, token_given=token_given, connection=connection, redirect_uri=self.redirect_uri
        )

    async def _greet(self, connection: Connection, limit_s: float) -> Greeting:
        greeting = await observe(lambda: self.probe.greet(connection.instance), limit_s)
        return Greeting(Reach.TIMEOUT) if isinstance(greeting, Unobserved) else greeting

    async def _sign_in_page(self, connection: Connection) -> SignInPage:
        url = self.server.authorization_url(
            connection,
            redirect_uri=self.redirect_uri,
            state=secrets.token_hex(32),
            code_challenge=code_challenge(new_code_verifier()),
        )
        return await self.probe.sign_in_page(url)


_NOT_SEEN: Final = Unobserved("not_checked")
"""Nobody has looked yet."""


@dataclass
class _Looks:
    """What an access token lets us see, as far as somebody has looked."""

    kinds: Sequence[TicketKind]
    limit: Observed[RateLimit] = _NOT_SEEN
    user: Observed[ServiceNowUser] = _NOT_SEEN
    account: Observed[Account | None] = _NOT_SEEN
    roles: Observed[UserRoles | None] = _NOT_SEEN
    by_time: Observed[None] = _NOT_SEEN
    reads: dict[TicketKind, Observed[None]] = field(default_factory=dict)
    visible: Observed[Mapping[str, str]] = _NOT_SEEN
    choices: list[Observed[bool]] = field(default_factory=list)
    client: Observed[ClientRecord | None] = _NOT_SEEN
    registry: Observed[RegistryTable | None] = _NOT_SEEN
    release: Observed[str | None] = _NOT_SEEN
    exempted: Observed[bool] = _NOT_SEEN


class _Noted:
    """Says what has been found so far, as it is shown."""

    def __init__(self, connection: Connection, note: Note, first: Sequence[Finding]) -> None:
        self._connection = connection
        self._note = note
        self._first = first

    def so_far(self, findings: Sequence[Finding]) -> None:
        """Note what was found besides the first findings."""
        self._note(_shown([*self._first, *findings], self._connection))


def _if_seen[Value](seen: Observed[Value], rule: Callable[[Observed[Value]], Finding]) -> Sequence[Finding]:
    return () if seen is _NOT_SEEN else (rule(seen),)


def _fields(outlooks: Observed[Sequence[KindOutlook]], connection: Connection) -> Sequence[Finding]:
    if isinstance(outlooks, Unobserved):
        names = [CheckName.about("fields", kind) for kind in rules.enabled_kinds(connection)]
        return [rules.unobserved(name, outlooks) for name in names]
    return [rules.fields(each) for each in outlooks]


async def _account(probe: InstanceProbe, connection: Connection) -> Account | None:
    user_sys_id = connection.integration_user_sys_id
    return None if user_sys_id is None else await probe.account(connection, user_sys_id)


async def _is_seen_exempted(probe: InstanceProbe, connection: Connection) -> bool:
    user_sys_id = connection.integration_user_sys_id
    return user_sys_id is not None and await probe.is_seen_exempted(connection, user_sys_id)


async def _roles(users: UserDirectory, connection: Connection) -> UserRoles | None:
    user_sys_id = connection.integration_user_sys_id
    return None if user_sys_id is None else await users.roles_of(connection, user_sys_id)


async def _observe_to_the_end[Value](work: Coroutine[object, object, Value], limit_s: float) -> Observed[Value]:
    """Observe work that must not be interrupted: once a refresh token is exchanged, the new one has to be stored."""
    task = begun(observe(lambda: work, UNBROKEN_S))
    done, _ = await asyncio.wait({task}, timeout=limit_s)
    return task.result() if done else Unobserved("too_slow")


def _shown(findings: Sequence[Finding], connection: Connection) -> Sequence[Finding]:
    enabled = rules.enabled_kinds(connection)
    order = list(CheckName)
    wanted = [
        each
        for each in findings
        if (each.check.kind is None or each.check.kind in enabled) and rules.applies(each.check, connection)
    ]
    return sorted(wanted, key=lambda each: order.index(each.check))


def _log(report: CheckReport) -> None:
    outcomes = Counter(each.outcome for each in report.findings)
    log_event(
        "connection_checked",
        level=logging.WARNING if outcomes[Outcome.FAILED] else logging.INFO,
        connection_id=report.connection.connection_id,
        dry_run=report.dry_run,
        **{outcome.value: outcomes[outcome] for outcome in Outcome},
        failed_checks=",".join(each.check for each in report.findings if each.outcome is Outcome.FAILED) or None,
        left_open=len(report.left_open),
    )
