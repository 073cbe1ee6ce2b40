"""Which items the list has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.attention.model import (
    Action,
    AttentionItem,
    Audience,
    Cause,
    Severity,
    Subject,
    SubjectKind,
    TicketNeeds,
)
from shared.connections.customers import Customer, ListedCustomer
from shared.connections.model import CONSENT_WARNING_DAYS, ConnectionStatus, Grant, consent_days_left
from shared.tenants.model import NOT_READ_AFTER, Tenant
from shared.value_object import value_object

_CONSENT: Final = tuple(
    zip(reversed(CONSENT_WARNING_DAYS), (Severity.CRITICAL, Severity.WARNING, Severity.INFORMATION), strict=True)
)
"""From how many whole days before its end a consent needs attention, and how much."""
SYNCHRONISED_WITHIN: Final = timedelta(hours=1)
"""A connection that works is late after this time, or after five of its intervals if they are longer."""
INTERVALS: Final = 5
RENEWED_WITHIN: Final = timedelta(days=7)
"""Secrets are due for renewal long before their versions expire; after this time it has failed again and again."""

_BEGUN: Final = frozenset({ConnectionStatus.NOT_CONFIGURED, ConnectionStatus.AWAITING_AUTHORIZATION})
_SEVERITIES: Final = tuple(Severity)


@value_object
class WatchedConnection:
    """A connection and what is known of its tickets.

    Attributes:
        is_listed: Whether the lists show all its tickets.
    """

    listed: ListedCustomer
    needs: TicketNeeds
    is_listed: bool = True


def attention_items(
    connections: Iterable[WatchedConnection],
    tenants: Iterable[Tenant],
    now: datetime,
    *,
    sync_interval: timedelta,
    unreadable_rows: int = 0,
) -> Sequence[AttentionItem]:
    """Return what needs attention, the worst first, and of that the oldest first.

    Args:
        connections: Those that are not removed.
        sync_interval: How often a connection is synchronised.
        unreadable_rows: How many stored rows this release cannot read.
    """
    watched = list(connections)
    present = {each.listed.connection_id for each in watched}
    items = [
        *(item for each in watched for item in connection_items(each, now, sync_interval=sync_interval)),
        *(item for tenant in tenants for item in tenant_items(tenant, present, now)),
    ]
    if unreadable_rows:
        items.append(
            AttentionItem(
                Severity.CRITICAL,
                Cause.ROWS_UNREADABLE,
                Action.SHOW_ROWS,
                "/attention/rows",
                values={"count": unreadable_rows},
                seen_by=Audience.MANAGERS,
            )
        )
    return sorted(items, key=_order)


def connection_items(watched: WatchedConnection, now: datetime, *, sync_interval: timedelta) -> Iterator[AttentionItem]:
    """Yield what needs attention on a connection."""
    yield from _status_items(watched, now, sync_interval)
    yield from _consent_items(watched.listed, now)
    yield from _ticket_items(watched)
    if (failed_at := watched.listed.figures.reminders_failed_at) is not None:
        yield AttentionItem(
            Severity.WARNING,
            Cause.REMINDERS_NOT_TAKEN,
            Action.OPEN_REMINDERS,
            f"{_page(watched.listed)}/reminders#messages",
            _about(watched.listed),
            failed_at,
            seen_by=Audience.MANAGERS,
        )


def _status_items(watched: WatchedConnection, now: datetime, sync_interval: timedelta) -> Iterator[AttentionItem]:
    listed, customer = watched.listed, watched.listed.customer
    about, page, since_at = _about(listed), _page(listed), customer.status_since_at
    match customer.status:
        case ConnectionStatus.REAUTHORIZATION_REQUIRED if customer.grant is Grant.CLIENT_CREDENTIALS:
            yield AttentionItem(
                Severity.CRITICAL, Cause.RECONNECTION_REQUIRED, Action.CONNECT, f"{page}#authorize", about, since_at
            )
        case ConnectionStatus.REAUTHORIZATION_REQUIRED:
            yield AttentionItem(
                Severity.CRITICAL,
                Cause.REAUTHORIZATION_REQUIRED,
                Action.AUTHORIZE,
                f"{page}#authorize",
                about,
                since_at,
                _second_factor(customer),
            )
        case ConnectionStatus.UNAVAILABLE:
            yield AttentionItem(Severity.WARNING, Cause.UNAVAILABLE, Action.OPEN_CONNECTION, page, about, since_at)
        case status if status in _BEGUN:
            yield AttentionItem(
                Severity.INFORMATION,
                Cause.SETUP_UNFINISHED,
                Action.CONTINUE_SETUP,
                f"/ticketProvisioning?connection_id={listed.connection_id}",
                about,
                since_at,
                seen_by=Audience.MANAGERS,
            )
        case ConnectionStatus.CONNECTED:
            if customer.last_error is not None:
                yield AttentionItem(
                    Severity.WARNING,
                    Cause.CONNECTION_ERROR,
                    Action.OPEN_CONNECTION,
                    page,
                    about,
                    customer.last_error.at,
                    failure=customer.last_error.failure,
                )
            seen_at = max(filter(None, (listed.figures.last_sync_at, customer.consented_at)), default=None)
            if seen_at is not None and now - seen_at > max(SYNCHRONISED_WITHIN, INTERVALS * sync_interval):
                yield AttentionItem(
                    Severity.WARNING, Cause.NOT_SYNCHRONISED, Action.OPEN_CONNECTION, page, about, seen_at
                )
    renew_at = customer.secrets_renew_at
    if customer.status is not ConnectionStatus.NOT_CONFIGURED and renew_at and now - renew_at > RENEWED_WITHIN:
        yield AttentionItem(Severity.WARNING, Cause.SECRETS_NOT_RENEWED, Action.OPEN_CONNECTION, page, about, renew_at)


def _consent_items(listed: ListedCustomer, now: datetime) -> Iterator[AttentionItem]:
    customer = listed.customer
    days_left = consent_days_left(customer, now)
    if days_left is None or customer.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
        return
    assert customer.consent_ends_at is not None
    for days, severity in _CONSENT:
        if days_left <= days:
            ends: Mapping[str, str | int] = {
                "date": customer.consent_ends_at.date().isoformat(),
                "days": days_left,
            }
            yield AttentionItem(
                severity,
                Cause.CONSENT_ENDS,
                Action.RENEW_CONSENT,
                f"{_page(listed)}#authorize",
                _about(listed),
                customer.consent_ends_at - timedelta(days=max(CONSENT_WARNING_DAYS) + 1),
                {**ends, **_second_factor(customer)},
            )
            return


def _ticket_items(watched: WatchedConnection) -> Iterator[AttentionItem]:
    connection_id, about, needs = watched.listed.connection_id, _about(watched.listed), watched.needs
    for count, severity, cause, show in (
        (needs.failed, Severity.CRITICAL, Cause.TICKETS_REFUSED, "failed"),
        (needs.regressed, Severity.WARNING, Cause.TICKETS_REGRESSED, "regressed"),
        (needs.not_fixed, Severity.WARNING, Cause.TICKETS_NOT_FIXED, "not_fixed"),
        (needs.overdue, Severity.WARNING, Cause.TICKETS_OVERDUE, "overdue"),
    ):
        if count:
            yield AttentionItem(
                severity,
                cause,
                Action.SHOW_TICKETS,
                f"/tickets?show={show}&connection={connection_id}",
                about,
                needs.since_at.get(cause),
                {"count": count},
                seen_by=Audience.READERS,
                done_by=Audience.READERS,
            )
    if needs.refused_changes:
        ticket_id = needs.refused_change_of
        yield AttentionItem(
            Severity.WARNING,
            Cause.CHANGES_REFUSED,
            Action.SHOW_TICKETS if ticket_id is None else Action.SHOW_TICKET,
            f"/tickets?connection={connection_id}" if ticket_id is None else f"/tickets/{ticket_id}",
            about,
            needs.since_at.get(Cause.CHANGES_REFUSED),
            {"count": needs.refused_changes},
            seen_by=Audience.READERS,
            done_by=Audience.READERS,
        )
    if not watched.is_listed:
        yield AttentionItem(
            Severity.INFORMATION,
            Cause.LISTS_INCOMPLETE,
            Action.SHOW_TICKETS,
            f"/tickets?connection={connection_id}",
            about,
            seen_by=Audience.READERS,
            done_by=Audience.READERS,
        )


def tenant_items(tenant: Tenant, connection_ids: Collection[str], now: datetime) -> Iterator[AttentionItem]:
    """Yield what needs attention about a tenant.

    Args:
        connection_ids: The connections that are not removed.
    """
    about = Subject(SubjectKind.TENANT, tenant.tenant_id, tenant.name)
    page, since_at = f"/tenants/{tenant.tenant_id}", tenant.unread_since_at(now)
    is_late = tenant.due_at is not None and since_at is not None and now - since_at > NOT_READ_AFTER
    if tenant.is_consent_pending(now) and (tenant.lacks_permission or tenant.lacks_consent):
        pass  # The connector looks again every minute, and nobody has to do anything yet.
    elif tenant.lacks_permission:
        yield AttentionItem(Severity.CRITICAL, Cause.TENANT_NO_PERMISSION, Action.OPEN_TENANT, page, about, since_at)
    elif tenant.error is not None:
        yield AttentionItem(
            Severity.WARNING,
            Cause.TENANT_UNREADABLE,
            Action.OPEN_TENANT,
            f"{page}#consent" if tenant.lacks_consent else page,
            about,
            since_at,
            failure=tenant.error.failure,
        )
    elif is_late:
        yield AttentionItem(Severity.WARNING, Cause.TENANT_NOT_READ, Action.OPEN_TENANT, page, about, since_at)
    if tenant.connection_id not in connection_ids:
        yield AttentionItem(
            Severity.INFORMATION,
            Cause.TENANT_WITHOUT_CONNECTION,
            Action.OPEN_TENANT,
            page,
            about,
            tenant.added_at,
            seen_by=Audience.MANAGERS,
        )


def _order(item: AttentionItem) -> tuple[object, ...]:
    """Return the place of an item: by severity, then by age; items without an age come last."""
    age = (item.since_at is None, item.since_at.timestamp() if item.since_at is not None else 0.0)
    name = "" if item.about is None else item.about.name.casefold()
    return (_SEVERITIES.index(item.severity), *age, name, "" if item.about is None else item.about.id, item.cause)


def _about(listed: ListedCustomer) -> Subject:
    return Subject(SubjectKind.CONNECTION, listed.connection_id, listed.customer.name)


def _page(listed: ListedCustomer) -> str:
    return f"/configuration/{listed.connection_id}"


def _second_factor(customer: Customer) -> Mapping[str, str | int]:
    """Return who has the second factor, without which nobody can renew the consent."""
    holder = customer.second_factor_holder
    return {} if holder is None or customer.grant is not Grant.AUTHORIZATION_CODE else {"holder": holder}
