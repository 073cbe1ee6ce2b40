"""What a connection check looks at, and the port that looks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.connections.model import Connection, KindSettings, TicketKind
from shared.connections.ports import RecordVisibility
from shared.secret import Secret


class Reach(StrEnum):
    """What answers a call without credentials; a working instance's API answers 401 (ServiceNow §2.9)."""

    API = "api"
    HOST_UNKNOWN = "host_unknown"
    CERTIFICATE_REFUSED = "certificate_refused"
    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    HIBERNATING = "hibernating"
    SERVER_ERROR = "server_error"
    NOT_THE_API = "not_the_api"
    REDIRECTS = "redirects"
    ADDRESS_BLOCKED = "address_blocked"


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to a call without credentials.

    Attributes:
        status: HTTP status, None when nothing answered.
        ahead_s: Seconds by which the instance's clock is ahead of ours; None when its answer had no time.
    """

    reach: Reach
    status: int | None = None
    ahead_s: float | None = None


class SignIn(StrEnum):
    """Where the authorization address leads a browser in which nobody is signed in (ServiceNow §1.2, §1.3)."""

    LOGIN_FORM = "login_form"
    """The instance's own form for user name and password."""
    ELSEWHERE = "elsewhere"
    """Some other page: that of an identity provider."""
    CLIENT_UNKNOWN = "client_unknown"
    REDIRECT_REFUSED = "redirect_refused"
    OTHER_ERROR = "other_error"


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The page on which a browser ends.

    Attributes:
        address: Its address without parameters.
    """

    leads_to: SignIn
    address: str


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """The OAuth client's entry in ``oauth_entity``; None means "not readable" (ServiceNow §1.8)."""

    active: bool | None
    redirect_uris: Collection[str]
    refresh_token_lifespan_s: int | None


@dataclass(frozen=True, slots=True)
class RegistryTable:
    """The table settings of ``oauth_entity``; None means "not readable".

    Attributes:
        from_all_scopes: *Accessible from* is *All application scopes*.
        can_read: *Can read* is ticked.
    """

    from_all_scopes: bool | None
    can_read: bool | None


@dataclass(frozen=True, slots=True)
class Account:
    """The integration user's own record; None means "not readable" (ServiceNow §6)."""

    active: bool | None
    locked_out: bool | None
    web_service_access_only: bool | None
    password_needs_reset: bool | None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Rate-limit rules that applied to a call; None when none did (ServiceNow §3)."""

    per_hour: int | None


@dataclass(frozen=True, slots=True)
class MarkedRecord:
    """A record made by a dry run.

    Attributes:
        texts_kept: Whether it has the texts that were sent; None when that was not seen.
    """

    sys_id: str
    number: str
    texts_kept: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivered ticket: the id we proposed, and the record's own.

    Attributes:
        texts_kept: Whether its texts were kept as they were sent, as far as anybody noticed.
    """

    kind: TicketKind
    proposed_sys_id: str
    sys_id: str
    texts_kept: bool = True


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What our own store says about a connection's tickets.

    Attributes:
        pending: Tickets that wait to be delivered.
        pending_since_at: When the oldest of them was created; None when none waits.
        failed: Tickets that ServiceNow refused.
        delivered: Newest delivered tickets whose records should still be there.
        last_sync_at: Start of the last complete synchronisation.
    """

    pending: int = 0
    pending_since_at: datetime | None = None
    failed: int = 0
    delivered: Sequence[Delivered] = field(default_factory=tuple)
    last_sync_at: datetime | None = None


class InstanceProbe(RecordVisibility, Protocol):
    """Looks at an instance. What is not said otherwise raises as every call of the REST API does."""

    def with_token(self, token: Secret) -> InstanceProbe:
        """Return the probe that looks with this access token."""
        ...

    async def greet(self, instance: str) -> Greeting:
        """Call the API without credentials. Never raises a ConnectorError."""
        ...

    async def sign_in_page(self, authorization_url: str) -> SignInPage:
        """Go where the authorization address leads, within the instance."""
        ...

    async def serves_tokens(self, instance: str) -> bool:
        """Return whether the token endpoint answers as one, to a request that it has to refuse."""
        ...

    async def rate_limit(self, connection: Connection) -> RateLimit:
        """Make one ordinary call of the Table API and return the rules that its answer names."""
        ...

    async def client_record(self, connection: Connection, client_id: str) -> ClientRecord | None:
        """Return the OAuth client's entry, None when it is not shown."""
        ...

    async def registry_table(self, connection: Connection) -> RegistryTable | None:
        """Return the table settings of ``oauth_entity``, None when they are not shown."""
        ...

    async def account(self, connection: Connection, user_sys_id: str) -> Account | None:
        """Return the account's own record, None when it is not shown."""
        ...

    async def query_by_time(self, connection: Connection) -> None:
        """Ask the parent table as the synchronisation does: by range and sort on ``sys_updated_on``."""
        ...

    async def read_kind(self, connection: Connection, kind: TicketKind) -> None:
        """Ask the kind's own table as the delivery does."""
        ...

    async def may_read_choices(self, connection: Connection, kind: TicketKind) -> bool:
        """Return whether the labels of the kind's states are readable."""
        ...

    async def release(self, connection: Connection) -> str | None:
        """Return the name of the release in lower case, such as ``xanadu``; None when it is not shown."""
        ...

    async def create_marked(
        self, connection: Connection, kind: TicketKind, settings: KindSettings, sys_id: str
    ) -> MarkedRecord:
        """Create a record that says that it belongs to a dry run and that the synchronisation passes over.

        Raises:
            OutcomeUnknown: It may or may not have been written.
        """
        ...

    async def find_marked(self, connection: Connection, kind: TicketKind, sys_id: str) -> MarkedRecord | None:
        """Return the dry run's record for which that sys_id was proposed, None when there is none to be seen."""
        ...

    async def cancel_marked(self, connection: Connection, kind: TicketKind, record: MarkedRecord) -> bool:
        """Cancel the record; return whether it is certainly closed now."""
        ...
