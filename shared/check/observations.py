"""What a connection check looks at, and the port that looks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.check.preflight.model import DataPolicy
from shared.connections.model import Connection, TicketKind
from shared.connections.ports import RecordVisibility
from shared.secret import Secret
from shared.value_object import value_object


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


@value_object
class Greeting:
    """The answer to a call without credentials.

    Attributes:
        status: HTTP status, or None if nothing answered.
        ahead_s: How far the instance's clock is ahead of ours, in seconds; None if its answer had no time.
    """

    reach: Reach
    status: int | None = None
    ahead_s: float | None = None


class SignIn(StrEnum):
    """Where the authorization URL takes a browser in which nobody is signed in (ServiceNow §1.2, §1.3)."""

    LOGIN_FORM = "login_form"
    """The instance's own form for user name and password."""
    ELSEWHERE = "elsewhere"
    """Another page: that of an identity provider."""
    CLIENT_UNKNOWN = "client_unknown"
    REDIRECT_REFUSED = "redirect_refused"
    OTHER_ERROR = "other_error"


@value_object
class SignInPage:
    """The page that a browser ends up on.

    Attributes:
        address: Its address without parameters.
    """

    leads_to: SignIn
    address: str


@value_object
class ClientRecord:
    """The OAuth client's entry in ``oauth_entity``; None means "not readable" (ServiceNow §1.8)."""

    active: bool | None
    redirect_uris: Collection[str]
    refresh_token_lifespan_s: int | None


@value_object
class RegistryTable:
    """The table settings of ``oauth_entity``; None means "not readable".

    Attributes:
        from_all_scopes: *Accessible from* is *All application scopes*.
        can_read: *Can read* is ticked.
    """

    from_all_scopes: bool | None
    can_read: bool | None


@value_object
class Account:
    """The integration user's own record; None means "not readable" (ServiceNow §6)."""

    active: bool | None
    locked_out: bool | None
    web_service_access_only: bool | None
    password_needs_reset: bool | None


@value_object
class RateLimit:
    """Rate-limit rules that applied to a call; None when none did (ServiceNow §3)."""

    per_hour: int | None


@value_object
class MarkedRecord:
    """A record made by a dry run.

    Attributes:
        values: Its raw values by column, as far as the integration user sees them.
    """

    sys_id: str
    number: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


@value_object
class Delivered:
    """A delivered ticket: the id that we proposed, and the record's own id.

    Attributes:
        texts_kept: Whether ServiceNow kept its texts as they were sent; True if nobody noticed a loss.
    """

    kind: TicketKind
    proposed_sys_id: str
    sys_id: str
    texts_kept: bool = True


@value_object
class TicketFacts:
    """What our own store says about a connection's tickets.

    Attributes:
        pending: Number of tickets waiting to be delivered.
        pending_since_at: When the oldest of them was created; None if none is waiting.
        failed: Number of tickets that ServiceNow refused.
        delivered: Newest delivered tickets whose records should still exist.
        last_sync_at: Start of the last complete synchronisation.
    """

    pending: int = 0
    pending_since_at: datetime | None = None
    failed: int = 0
    delivered: Sequence[Delivered] = field(default_factory=tuple)
    last_sync_at: datetime | None = None


class InstanceProbe(RecordVisibility, Protocol):
    """Looks at an instance. Unless stated otherwise, a method raises what every call of the REST API raises."""

    def with_token(self, token: Secret) -> InstanceProbe:
        """Return the probe that looks with this access token."""
        ...

    async def greet(self, instance: str) -> Greeting:
        """Call the API without credentials. Never raises a ConnectorError."""
        ...

    async def sign_in_page(self, authorization_url: str) -> SignInPage:
        """Follow the authorization URL within the instance."""
        ...

    async def serves_tokens(self, instance: str) -> bool:
        """Return whether the token endpoint answers like one to a request that it has to refuse."""
        ...

    async def rate_limit(self, connection: Connection) -> RateLimit:
        """Make one ordinary call of the Table API and return the rules that its answer names."""
        ...

    async def client_record(self, connection: Connection, client_id: str) -> ClientRecord | None:
        """Return the OAuth client's entry, or None if it is not shown."""
        ...

    async def registry_table(self, connection: Connection) -> RegistryTable | None:
        """Return the table settings of ``oauth_entity``, or None if they are not shown."""
        ...

    async def account(self, connection: Connection, user_sys_id: str) -> Account | None:
        """Return the account's own record, or None if it is not shown."""
        ...

    async def is_seen_exempted(self, connection: Connection, user_sys_id: str) -> bool:
        """Return whether the user is seen to need no second factor; False also if that is not shown."""
        ...

    async def query_by_time(self, connection: Connection) -> None:
        """Query the parent table as the synchronisation does: by range and sort on ``sys_updated_on``."""
        ...

    async def read_kind(self, connection: Connection, kind: TicketKind) -> None:
        """Query the kind's own table as the delivery does."""
        ...

    async def may_read_choices(self, connection: Connection, kind: TicketKind) -> bool:
        """Return whether the labels of the kind's states are readable."""
        ...

    async def release(self, connection: Connection) -> str | None:
        """Return the name of the release in lower case, such as ``xanadu``; None if it is not shown."""
        ...

    async def data_policies(
        self, connection: Connection, kind: TicketKind, sent: Mapping[str, str]
    ) -> Sequence[DataPolicy] | None:
        """Return the data policies for new records of a kind, as they concern one with these fields.

        None if the integration user may not read them.
        """
        ...

    async def create_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, fields: Mapping[str, str]
    ) -> MarkedRecord:
        """Create a record with these fields that is marked as a dry run's, so that the synchronisation ignores it.

        Raises:
            OutcomeUnknown: It may or may not have been written.
        """
        ...

    async def find_marked(
        self, connection: Connection, kind: TicketKind, sys_id: str, columns: Collection[str]
    ) -> MarkedRecord | None:
        """Return the dry run's record for which this sys_id was proposed, or None if we see none.

        Args:
            columns: Those whose values to return.
        """
        ...

    async def cancel_marked(self, connection: Connection, kind: TicketKind, record: MarkedRecord) -> bool:
        """Cancel the record; return whether it is now certainly closed."""
        ...
