"""What callers see of a connection: everything except its secrets, not even parts of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from shared.access.model import AllowedCaller, CustomerLimit
from shared.connections.directory import SyncState
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    Grant,
    KindSettings,
    LastError,
    OutcomeNotes,
    Portal,
    TicketKind,
    consent_days_left,
)
from shared.views import View
from shared.words.error_words import words_of
from shared.words.language import Language


class LastErrorView(View):
    """What is wrong, in words."""

    code: str
    message: str
    next_step: str
    at: datetime


class ConnectionView(View):
    """A connection and its status."""

    connection_id: str
    display_name: str
    instance: str = Field(description="Base URL of the instance.")
    former_instances: tuple[str, ...] = Field(description="Former addresses of the instance.")
    renamed_from: str | None = Field(description="Its claimed former address, until that is proved.")
    client_id: str
    integration_user: str
    grant: Grant = Field(description="How the connector gets access tokens.")
    second_factor_holder: str | None = Field(description="Who has the integration user's second factor.")
    portals: tuple[Portal, ...]
    kinds: Mapping[TicketKind, KindSettings]
    outcome_notes: OutcomeNotes = Field(
        description="Where ServiceNow's record says what became of its recommendations."
    )
    shares_requester: bool = Field(description="Whether ServiceNow gets a requester's e-mail address and object id.")
    limited_to: tuple[AllowedCaller, ...] = Field(
        description="Who alone may see it with its tenants and tickets; empty for everybody with an app role."
    )
    customer_group: str | None = Field(description="The group of customers that it belongs to.")
    is_excluded: bool = Field(description="Whether totals and lists of customers leave it out.")
    language: str = Field(description="Code of the language in which the connector writes to people of the instance.")
    time_zone: str
    consent_lifetime_s: int
    status: ConnectionStatus
    status_since_at: datetime | None
    last_success_at: datetime | None = Field(description="When ServiceNow last gave a real answer.")
    last_error: LastErrorView | None = Field(description="Null when nothing is wrong.")
    access_token_expires_at: datetime | None
    consented_at: datetime | None
    consent_ends_at: datetime | None = Field(
        description="Somebody has to authorize the connection again before this. Null with client credentials."
    )
    consent_days_left: int | None
    last_sync_at: datetime | None = Field(description="Start of the last synchronisation that read everything.")
    lag_s: float | None = Field(description="How far these data can be behind ServiceNow, in seconds.")
    redirect_uri: str = Field(description="The redirect URL to enter in ServiceNow's OAuth client.")
    authorize_url: str = Field(description="Open it in a browser to authorize the connection.")


class ConnectionListView(View):
    """All connections, removed ones included, ordered by id."""

    connections: tuple[ConnectionView, ...]


def connection_view(
    connection: Connection,
    sync_state: SyncState,
    now: datetime,
    t: Language,
    *,
    limit: CustomerLimit | None,
    authorize_url: str,
    redirect_uri: str,
) -> ConnectionView:
    """Return what callers see of a connection, in the given language."""
    error = connection.last_error
    return ConnectionView(
        connection_id=connection.connection_id,
        display_name=connection.display_name,
        instance=connection.instance,
        former_instances=tuple(address for address in connection.former_instances if connection.is_at(address)),
        renamed_from=connection.renamed_from,
        client_id=connection.client_id,
        integration_user=connection.integration_user,
        grant=connection.grant,
        second_factor_holder=connection.second_factor_holder,
        portals=connection.portals,
        kinds=connection.kinds,
        outcome_notes=connection.outcome_notes,
        shares_requester=connection.shares_requester,
        limited_to=limit or (),
        customer_group=connection.customer_group,
        is_excluded=connection.is_excluded,
        language=connection.language,
        time_zone=connection.time_zone,
        consent_lifetime_s=connection.consent_lifetime_s,
        status=connection.status,
        status_since_at=connection.status_since_at,
        last_success_at=max(filter(None, (connection.last_success_at, sync_state.last_completed_at)), default=None),
        last_error=None if error is None else _last_error_view(error, t),
        access_token_expires_at=connection.access_token_expires_at,
        consented_at=connection.consented_at,
        consent_ends_at=connection.consent_ends_at,
        consent_days_left=consent_days_left(connection, now),
        last_sync_at=sync_state.last_completed_at,
        lag_s=_lag_s(sync_state, now),
        redirect_uri=redirect_uri,
        authorize_url=authorize_url,
    )


def _lag_s(sync_state: SyncState, now: datetime) -> float | None:
    """Return how long ago the last complete synchronisation began: no older change is missing."""
    if sync_state.last_completed_at is None:
        return None
    return round(max(0.0, (now - sync_state.last_completed_at).total_seconds()), 1)


def _last_error_view(error: LastError, t: Language) -> LastErrorView:
    words = words_of(error.failure, t)
    return LastErrorView(code=error.code, message=words.message, next_step=words.next_step, at=error.at)
