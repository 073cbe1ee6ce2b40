"""The rules of a connection check: what the observations mean. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.check.findings import EXEMPTED_GROUP, CheckName, Finding, Outcome, finding
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
from shared.check.observe import Observed, Unobserved
from shared.check.preflight.model import LOSSES, REFUSALS, Fate, FieldOutlook, KindOutlook, TrialOutcome
from shared.check.preflight.rules import TEXTS, Knowledge, seen_fields
from shared.check.preflight.run import DryRun, name_of
from shared.connections.model import Connection, ConnectionStatus, Grant, TicketKind, consent_days_left, is_same_user
from shared.connections.ports import ServiceNowUser, UserRoles
from shared.errors import (
    AccessScopeMissing,
    AccessTokenRefused,
    CrossScopeRefused,
    FixConfiguration,
    InsufficientRights,
    Reauthorize,
    ServiceNowThrottled,
    TableNotAvailable,
)

CONSENT_ENDS_SOON_DAYS: Final = 14
CLOCK_TOLERANCE_S: Final = 120.0
SPARE_REQUESTS_PER_HOUR: Final = 60
"""The requests for creating tickets, reading them back and checks, besides the synchronisation."""
SYNC_LATE: Final = timedelta(minutes=15)
WAITING_LATE: Final = timedelta(minutes=15)
"""If a ticket waits longer than this, the problem is more than a short one."""
OLD_RELEASES: Final = frozenset(
    {"aspen", "berlin", "calgary", "dublin", "eureka", "fuji", "geneva", "helsinki", "istanbul", "jakarta"}
)
"""Releases before Kingston. ServiceNow uses the alphabet more than once, so the first letter is not enough."""

CLIENT_CREDENTIALS_SINCE: Final = "Washington DC"
"""The first release that gives tokens for client credentials (ServiceNow §1.4)."""

_CREATED: Final = frozenset({"created", "left_open", "by_tickets"})
"""Reasons for which somebody saw that a record was created; a role alone does not show it."""
_FOR_A_BROWSER: Final = frozenset({CheckName.SINGLE_SIGN_ON, CheckName.MULTIFACTOR})
_NAMES_SHOWN: Final = 10

_NEEDS_CONSENT_FOR: Final = frozenset({"configuration_changed"})


def awaits_consent(connection: Connection) -> bool:
    """Whether the connection has no consent with usable tokens."""
    if connection.last_error is not None and connection.last_error.code in _NEEDS_CONSENT_FOR:
        return True
    return not connection.ever_consented or connection.is_removed


def applies(check: CheckName, connection: Connection) -> bool:
    """Whether a check says anything about the connection: with client credentials, nobody signs in anywhere."""
    return connection.grant is Grant.AUTHORIZATION_CODE or check not in _FOR_A_BROWSER


def enabled_kinds(connection: Connection) -> Sequence[TicketKind]:
    """Return the kinds of ticket that can be created on the connection."""
    return [kind for kind in TicketKind if connection.kinds[kind].enabled]


def reachable(greeting: Greeting, connection: Connection) -> Finding:
    """Whether ServiceNow's API answers."""
    fits = {Reach.API: "passed", Reach.ADDRESS_BLOCKED: "passed"}
    reason = fits.get(greeting.reach, greeting.reach.value)
    return finding(CheckName.REACHABLE, reason, instance=connection.instance, status=greeting.status or "")


def ip_filtering(greeting: Greeting, egress_addresses: Sequence[str]) -> Finding:
    """Whether ServiceNow lets our address in."""
    match greeting.reach:
        case Reach.API:
            return finding(CheckName.IP_FILTERING, "passed")
        case Reach.ADDRESS_BLOCKED if egress_addresses:
            return finding(CheckName.IP_FILTERING, "blocked", addresses=", ".join(egress_addresses))
        case Reach.ADDRESS_BLOCKED:
            return finding(CheckName.IP_FILTERING, "blocked_addresses_unknown")
    return blocked(CheckName.IP_FILTERING, CheckName.REACHABLE)


def clock(greeting: Greeting) -> Finding:
    """Whether the instance's clock and ours agree."""
    if greeting.ahead_s is None:
        return finding(CheckName.CLOCK, "not_told")
    reason = "passed" if abs(greeting.ahead_s) <= CLOCK_TOLERANCE_S else "differs"
    return finding(CheckName.CLOCK, reason, seconds=round(abs(greeting.ahead_s)))


def token_endpoint(
    refreshed: Observed[object] | None, serves: Observed[bool] | None, connection: Connection
) -> Finding:
    """Whether the token endpoint works.

    Args:
        refreshed: The result of refreshing the access token; None if there is no consent to refresh.
        serves: Whether it answers like a token endpoint; only checked if there is nothing to refresh.
    """
    name = CheckName.TOKEN_ENDPOINT
    match refreshed:
        case Unobserved(error=Reauthorize() as error):
            is_consent = connection.grant is Grant.AUTHORIZATION_CODE
            return finding(name, "refused" if is_consent else "credentials_refused", problem=error)
        case Unobserved():
            return unobserved(name, refreshed)
        case None if isinstance(serves, Unobserved):
            return unobserved(name, serves)
        case None:
            return finding(name, "answers" if serves else "not_served")
    return finding(name, "passed")


def is_consent_refused(refreshed: Observed[object]) -> bool:
    """Whether the token endpoint refused the consent."""
    return isinstance(refreshed, Unobserved) and isinstance(refreshed.error, Reauthorize)


def oauth_client(
    record: Observed[ClientRecord | None] | None,
    page: Observed[SignInPage],
    *,
    token_given: bool,
    connection: Connection,
    redirect_uri: str,
) -> Finding:
    """Whether the OAuth client is known, active and set up correctly.

    Args:
        record: Its entry; None if we have no access token to ask for it.
        page: Where its authorization URL leads.
        token_given: Whether the token endpoint has just issued a token to it.
    """
    name = CheckName.OAUTH_CLIENT
    leads_to = page.leads_to if isinstance(page, SignInPage) else None
    is_consent = connection.grant is Grant.AUTHORIZATION_CODE
    if isinstance(record, ClientRecord):
        if record.active is False:
            return finding(name, "inactive")
        if is_consent and record.redirect_uris and redirect_uri not in record.redirect_uris:
            return finding(name, "redirect_missing", redirect_uri=redirect_uri)
    if leads_to is SignIn.CLIENT_UNKNOWN and not token_given:
        return finding(name, "unknown_client", client_id=connection.client_id)
    if is_consent and leads_to is SignIn.REDIRECT_REFUSED:
        return finding(name, "redirect_missing", redirect_uri=redirect_uri)
    if isinstance(record, ClientRecord):
        lifespan_s = record.refresh_token_lifespan_s
        if is_consent and lifespan_s is not None and lifespan_s != connection.consent_lifetime_s:
            return finding(
                name, "lifespan_differs", seconds=lifespan_s, configured_seconds=connection.consent_lifetime_s
            )
        return finding(name, "passed")
    if token_given:
        return finding(name, "works")
    # An identity provider's page says nothing: an instance may send people there before it looks at the client.
    is_known = leads_to in {SignIn.LOGIN_FORM, SignIn.REDIRECT_REFUSED}
    return finding(name, "known" if is_known else "unreadable", client_id=connection.client_id)


def application_registry(table: Observed[RegistryTable | None]) -> Finding:
    """Whether applications may read the OAuth clients, as they may on an instance that nobody has customised."""
    name = CheckName.APPLICATION_REGISTRY
    match table:
        case RegistryTable(from_all_scopes=False) | RegistryTable(can_read=False):
            return finding(name, "closed")
        case RegistryTable(from_all_scopes=True, can_read=True):
            return finding(name, "passed")
        case Unobserved(error=CrossScopeRefused()):
            return finding(name, "refused")
        case Unobserved(error=error) if not isinstance(error, FixConfiguration):
            return unobserved(name, table)
    return finding(name, "unreadable")


def consent(connection: Connection, now: datetime) -> Finding:
    """Whether the consent is accepted, and how long it lasts; with client credentials, whether there are tokens."""
    name = CheckName.CONSENT
    if connection.grant is Grant.CLIENT_CREDENTIALS:
        is_connected = connection.is_granted and connection.status is not ConnectionStatus.REAUTHORIZATION_REQUIRED
        return finding(name, "not_needed" if is_connected else "not_connected")
    days = consent_days_left(connection, now)
    if days is None or connection.consent_ends_at is None:
        return finding(name, "missing")
    at = f"{connection.consent_ends_at:%Y-%m-%d}"
    if connection.consent_ends_at <= now:
        return finding(name, "ended", at=at)
    if connection.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return finding(name, "refused", at=at)
    return finding(name, "passed" if days > CONSENT_ENDS_SOON_DAYS else "ends_soon", days=days, at=at)


def single_sign_on(page: Observed[SignInPage], connection: Connection) -> Finding:
    """Whether single sign-on prevents a person from signing in as the integration user."""
    name = CheckName.SINGLE_SIGN_ON
    if isinstance(page, Unobserved):
        return unobserved(name, page)
    match page.leads_to:
        case SignIn.LOGIN_FORM:
            return finding(name, "passed")
        case SignIn.ELSEWHERE:
            is_connected = connection.status is ConnectionStatus.CONNECTED
            return finding(name, "connected" if is_connected else "in_the_way", address=page.address)
    return finding(name, "no_sign_in_page", address=page.address)


def multifactor(connection: Connection, exempted: Observed[bool] | None) -> Finding:
    """Whether a second factor can prevent that the consent is renewed (ServiceNow §1.9).

    Args:
        exempted: Whether the integration user is seen to need none; None if nobody could look.
    """
    name = CheckName.MULTIFACTOR
    if exempted is True:
        return finding(name, "exempted", user=connection.integration_user, group=EXEMPTED_GROUP)
    if connection.second_factor_holder is not None:
        return finding(name, "named", holder=connection.second_factor_holder)
    return finding(name, "nobody_named", user=connection.integration_user, group=EXEMPTED_GROUP)


def signed_in_user(user: Observed[ServiceNowUser], connection: Connection) -> Finding:
    """Whether the tokens belong to the integration user."""
    name = CheckName.SIGNED_IN_USER
    match user:
        case Unobserved(error=FixConfiguration()):
            return finding(name, "not_told")
        case Unobserved():
            return unobserved(name, user)
    reason = "passed" if is_same_user(user.user_name, connection.integration_user) else "wrong_user"
    return finding(name, reason, user=user.user_name, integration_user=connection.integration_user)


def user_account(account: Observed[Account | None], connection: Connection) -> Finding:
    """Whether the integration user's account works and lets it sign in again."""
    name = CheckName.USER_ACCOUNT
    user = connection.integration_user
    match account:
        case Unobserved(error=error) if not isinstance(error, FixConfiguration):
            return unobserved(name, account)
        case Account(active=False):
            return finding(name, "inactive", user=user)
        case Account(locked_out=True):
            return finding(name, "locked_out", user=user)
        case Account(password_needs_reset=True):
            return finding(name, "password_reset", user=user)
        case Account(web_service_access_only=True) if connection.grant is Grant.AUTHORIZATION_CODE:
            return finding(name, "web_service_only", user=user)
        case Account(active=True):
            return finding(name, "passed", user=user)
    return finding(name, "unreadable", user=user)


def user_roles(
    roles: Observed[UserRoles | None],
    connection: Connection,
    delivered: Sequence[Delivered],
    dry_runs: Mapping[TicketKind, DryRun],
) -> Finding:
    """Whether the integration user may create every enabled kind: by a role, or because a dry run has just done so.

    Delivered tickets prove it, too, unless we can read the roles and they are missing.
    """
    name = CheckName.USER_ROLES
    kinds = enabled_kinds(connection)
    created = {kind for kind, each in dry_runs.items() if isinstance(each.created, MarkedRecord)}
    if kinds and created.issuperset(kinds):
        return finding(name, "proven")
    match roles:
        case None:
            done = created | {each.kind for each in delivered}
            return finding(name, "proven" if kinds and done.issuperset(kinds) else "unreadable")
        case Unobserved():
            return unobserved(name, roles)
    if missing := [kind for kind in kinds if kind not in created and kind in roles.missing]:
        return finding(name, "missing", roles=_listed(roles.names), wanted=roles.wanted(missing))
    return finding(name, "passed", roles=_listed(roles.names))


def rest_access(limit: Observed[RateLimit], *, token_given: bool) -> Finding:
    """Whether the REST API accepts the token.

    Args:
        token_given: Whether the token endpoint has just issued it; an older one may be refused because it has expired.
    """
    name = CheckName.REST_ACCESS
    if not token_given and isinstance(limit, Unobserved) and isinstance(limit.error, AccessTokenRefused):
        return blocked(name, CheckName.TOKEN_ENDPOINT)
    match limit:
        case RateLimit() | Unobserved(error=ServiceNowThrottled()):
            return finding(name, "passed")
        case Unobserved(error=AccessTokenRefused() | FixConfiguration() as error):
            return finding(name, _rest_refusal(error), problem=error)
    return unobserved(name, limit)


def _rest_refusal(error: AccessTokenRefused | FixConfiguration) -> str:
    match error:
        case AccessTokenRefused():
            return "token_refused"
        case AccessScopeMissing():
            return "scope_missing"
        case InsufficientRights():
            return "rights_missing"
        case TableNotAvailable():
            return "table_closed"
    return "refused"


def asked(name: CheckName, answer: Observed[None]) -> Finding:
    """Whether a request was answered, whatever the answer."""
    match answer:
        case None:
            return finding(name, "passed")
        case Unobserved(error=FixConfiguration() as error):
            return finding(name, "refused", problem=error)
    return unobserved(name, answer)


def create(
    kind: TicketKind,
    dry_run: DryRun | None,
    delivered: Sequence[Delivered],
    roles: Observed[UserRoles | None],
) -> Finding:
    """Whether the integration user may create records of a kind."""
    name = CheckName.about("create", kind)
    if dry_run is not None:
        match dry_run.created:
            case MarkedRecord(number=number):
                return finding(name, "created" if dry_run.closed else "left_open", number=number)
            case Unobserved(error=FixConfiguration() as error):
                return finding(name, "refused", problem=error)
            case Unobserved() as why:
                return unobserved(name, why)
        return finding(name, "outcome_unknown", sys_id=dry_run.proposed_sys_id)
    if any(each.kind is kind for each in delivered):
        return finding(name, "by_tickets")
    if isinstance(roles, UserRoles):
        if kind in roles.missing:
            return finding(name, "role_missing", wanted=roles.wanted([kind]))
        return finding(name, "by_roles")
    return finding(name, "dry_run_needed")


def own_tickets(
    visible: Observed[Collection[str]], delivered: Sequence[Delivered], dry_runs: Collection[DryRun]
) -> Finding:
    """Whether the integration user sees the connector's own tickets."""
    name = CheckName.OWN_TICKETS
    if isinstance(visible, Unobserved):
        if isinstance(visible.error, FixConfiguration):
            return finding(name, "hidden", seen=0, total=len(delivered), problem=visible.error)
        return unobserved(name, visible)
    tried = [each.seen for each in dry_runs if isinstance(each.seen, bool)]
    total = len(delivered) + len(tried)
    seen = sum(each.sys_id in visible for each in delivered) + sum(tried)
    if not total:
        return finding(name, "none_yet")
    return finding(name, "passed" if seen == total else "hidden", seen=seen, total=total)


def choice_labels(readable: Sequence[Observed[bool]]) -> Finding:
    """Whether the names of states and categories are readable."""
    for each in readable:
        if isinstance(each, Unobserved) and not isinstance(each.error, FixConfiguration):
            return unobserved(CheckName.CHOICE_LABELS, each)
    return finding(CheckName.CHOICE_LABELS, "passed" if all(each is True for each in readable) else "refused")


def client_sys_id(delivered: Sequence[Delivered], dry_runs: Collection[DryRun]) -> Finding:
    """Whether the instance keeps the ids that the connector proposes."""
    name = CheckName.CLIENT_SYS_ID
    pairs = [(each.proposed_sys_id, each.sys_id) for each in delivered]
    pairs += [
        (each.proposed_sys_id, each.created.sys_id) for each in dry_runs if isinstance(each.created, MarkedRecord)
    ]
    if not pairs:
        return finding(name, "dry_run_needed")
    return finding(name, "passed" if all(one == other for one, other in pairs) else "replaced")


def texts_kept(delivered: Sequence[Delivered], dry_runs: Collection[DryRun]) -> Finding:
    """Whether the instance keeps texts as they are sent."""
    name = CheckName.TEXTS_KEPT
    seen = [each.texts_kept for each in delivered]
    seen += [kept for each in dry_runs if (kept := _kept_texts(each)) is not None]
    if not seen:
        return finding(name, "dry_run_needed")
    return finding(name, "passed" if all(seen) else "shortened")


def _kept_texts(dry_run: DryRun) -> bool | None:
    """Whether the record of a dry run has the texts that were sent; None if we did not see them."""
    if not isinstance(dry_run.created, MarkedRecord) or dry_run.sent is None:
        return None
    texts = {column: value for column, value in dry_run.sent.items() if column in TEXTS}
    fates = {each.fate for each in seen_fields(texts, dry_run.created.values, Knowledge())}
    return None if fates <= {Fate.NOT_KNOWN} else fates <= {Fate.FINE, Fate.NOT_KNOWN}


def fields(seen: KindOutlook) -> Finding:
    """Whether ServiceNow accepts and keeps the fields of tickets of a kind, as far as can be seen."""
    name = CheckName.about("fields", seen.kind)
    if refused := seen.with_fate(REFUSALS):
        return finding(name, "refused", names=_named(refused))
    if lost := seen.with_fate(LOSSES):
        return finding(name, "lost", names=_named(lost))
    trial = seen.present_trial
    if trial is not None and trial.outcome is TrialOutcome.ACCEPTED:
        return finding(name, "tried", at=f"{trial.tried_at:%Y-%m-%d}")
    if seen.has_delivered:
        return finding(name, "by_tickets")
    if seen.columns_readable:
        return finding(name, "foreseen")
    return finding(name, "dry_run_needed")


def _named(outlooks: Sequence[FieldOutlook]) -> str:
    return ", ".join(name_of(each) for each in outlooks[:_NAMES_SHOWN])


def rate_limits(limit: Observed[RateLimit], sync_interval_s: int) -> Finding:
    """Whether rate-limit rules allow the connector enough requests."""
    name = CheckName.RATE_LIMITS
    needed = math.ceil(3600 / sync_interval_s) + SPARE_REQUESTS_PER_HOUR
    match limit:
        case Unobserved(error=ServiceNowThrottled()):
            return finding(name, "reached")
        case Unobserved():
            return unobserved(name, limit)
    if limit.per_hour is None:
        return finding(name, "none")
    reason = "enough" if limit.per_hour >= needed else "too_low"
    return finding(name, reason, limit=limit.per_hour, needed=needed)


def release(found: Observed[str | None], connection: Connection, *, token_given: bool, works: bool) -> Finding:
    """Whether the release is Kingston or later: it says so, or what needs such a release was seen to work.

    Args:
        token_given: Whether the token endpoint has just issued a token.
        works: Whether everything else that the connector does was seen to work.
    """
    name = CheckName.RELEASE
    if isinstance(found, str):
        return finding(name, "too_old" if found in OLD_RELEASES else "passed", release=found.capitalize())
    if token_given and connection.grant is Grant.CLIENT_CREDENTIALS:
        return finding(name, "by_grant", release=CLIENT_CREDENTIALS_SINCE)
    if token_given and works:
        return finding(name, "by_tickets")
    if isinstance(found, Unobserved) and not isinstance(found.error, FixConfiguration):
        return unobserved(name, found)
    return finding(name, "unreadable")


def works(findings: Collection[Finding], connection: Connection) -> bool:
    """Whether the findings of a check show that records of every enabled kind are created, read and queried."""
    kinds = enabled_kinds(connection)
    seen = {each.check: each.reason for each in findings if each.outcome is Outcome.PASSED}
    done = {CheckName.SIGNED_IN_USER, CheckName.REST_ACCESS, CheckName.QUERY_TASK, CheckName.OWN_TICKETS}
    done |= {CheckName.about("read", kind) for kind in kinds}
    created = [seen.get(CheckName.about("create", kind)) for kind in kinds]
    return bool(kinds) and done <= seen.keys() and all(reason in _CREATED for reason in created)


def tickets_arrive(
    connection: Connection, facts: Observed[TicketFacts], sync_interval_s: int, now: datetime
) -> Finding:
    """Which step is missing if the installation seems complete but no tickets appear."""
    name = CheckName.TICKETS_ARRIVE
    by_status = {
        ConnectionStatus.NOT_CONFIGURED: "not_configured",
        ConnectionStatus.AWAITING_AUTHORIZATION: "authorize_missing",
        ConnectionStatus.REAUTHORIZATION_REQUIRED: "reauthorize",
        ConnectionStatus.UNAVAILABLE: "unavailable",
        ConnectionStatus.DISCONNECTED: "not_configured",
    }
    if connection.status in by_status:
        return finding(name, by_status[connection.status])
    if not enabled_kinds(connection):
        return finding(name, "no_kind_enabled")
    if isinstance(facts, Unobserved):
        return unobserved(name, facts)
    waits_since = facts.pending_since_at
    if waits_since is not None and now - waits_since > WAITING_LATE:
        return finding(name, "waiting", count=facts.pending)
    late = max(SYNC_LATE, timedelta(seconds=3 * sync_interval_s))
    consented_long_ago = connection.consented_at is not None and now - connection.consented_at > late
    if consented_long_ago and (facts.last_sync_at is None or now - facts.last_sync_at > late):
        at = "–" if facts.last_sync_at is None else f"{facts.last_sync_at:%Y-%m-%d %H:%M UTC}"
        return finding(name, "not_synchronised", at=at)
    # If ServiceNow refuses a ticket's values, that says nothing about the connection.
    if facts.failed:
        return finding(name, "some_refused" if facts.delivered else "only_refused", count=facts.failed)
    if facts.pending:
        return finding(name, "some_waiting", count=facts.pending)
    return finding(name, "passed" if facts.delivered else "no_tickets_yet")


def blocked(name: CheckName, blocker: CheckName) -> Finding:
    """Return the finding of a check that could not run because of what another check found."""
    return finding(name, "not_checked", blocker=blocker)


def unobserved(name: CheckName, why: Unobserved) -> Finding:
    """Return the finding of a check without an observation."""
    return finding(name, why.reason, problem=why.error)


def _listed(roles: Collection[str]) -> str:
    return ", ".join(sorted(roles)) or "–"
