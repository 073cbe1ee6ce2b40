"""What recommendations need from outside: sources to read, and storage.

Verbs mean what they mean in the Azure SDK (see :mod:`shared.connections.ports`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from typing import Protocol

from shared.errors import Failure
from shared.recommendations.model import ImprovementAction, Snapshot, SourceName
from shared.tenants.model import Tenant
from shared.value_object import value_object


@value_object
class Reading:
    """What a source said at one time.

    Attributes:
        is_complete: Whether what is missing was really not there. False after a 206, or for a file.
        snapshot: The newest snapshot; None for a source without points over time, or a tenant that has none yet.
        actions: Every improvement action, joined; what only storage knows (``first_seen_at``, ``seen_at``, ``gone_at``)
            is not set.
        texts: Raw HTML by :func:`shared.recommendations.model.text_hash`.
        history: Older snapshots, if they were asked for.
        is_history_complete: False if some of those could not be read, or may lack something.
        roles: App roles in the access token that was used, sorted; None for a file.
    """

    source: SourceName
    is_complete: bool
    actions: Sequence[ImprovementAction]
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    snapshot: Snapshot | None = None
    history: Sequence[Snapshot] = ()
    is_history_complete: bool = True
    roles: tuple[str, ...] | None = None


class Source(Protocol):
    """Where the recommendations of tenants come from; only the credential differs between tenants."""

    async def read(self, tenant: Tenant, *, with_history: bool) -> Reading:
        """Read what the source now says about a tenant.

        Args:
            with_history: Read the past 90 days, too. If that fails, the rest counts.

        Raises ConnectorError: the tenant cannot be read; the code says why, and who has to act.
        """
        ...

    async def roles(self, tenant: Tenant) -> tuple[str, ...]:
        """Return the app roles in a token for this tenant, sorted, without reading anything else.

        Raises ConnectorError if there is no token for it.
        """
        ...


@value_object
class ClaimedTicket:
    """A ticket that was made for a recommendation, or is being made.

    Attributes:
        kept: Values in the stored row that only another release knows; they are written back unchanged.
    """

    connection_id: str
    ticket_id: str
    claimed_at: datetime
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)


@value_object
class Claim:
    """Whose turn it is to make a ticket for a recommendation; taken before the ticket is stored.

    Attributes:
        key: The recommendation's key within the tenant.
        tickets: Newest first; the first one is the claim, the others are the recommendation's earlier tickets.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
        etag: Version of the stored row, None before it is stored.
    """

    tenant_id: str
    key: str
    tickets: tuple[ClaimedTicket, ...] = ()
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    etag: str | None = field(default=None, compare=False)


@value_object
class Refusal:
    """Why a recommendation that somebody asked for got no ticket.

    Attributes:
        key: The recommendation's key within the tenant, as it was sent.
    """

    key: str
    failure: Failure


@value_object
class Batch:
    """Tickets that somebody asked for together; stored before any of them.

    Attributes:
        batch_id: 32 hexadecimal digits.
        requested_by: The caller's object id.
        ticket_ids: One for each key in the same order, or a single one for all of them.
        keys: The recommendations that they are for.
        refused: The other recommendations that were asked for.
    """

    tenant_id: str
    batch_id: str
    connection_id: str
    requested_by: str
    requested_at: datetime
    ticket_ids: tuple[str, ...]
    keys: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()


class RecommendationStore(Protocol):
    """Improvement actions, their texts and snapshots in Table Storage, one partition for each tenant.

    Every method can raise StorageUnavailable.
    """

    async def list_actions(self, tenant_id: str) -> Sequence[ImprovementAction]:
        """Return all of a tenant's improvement actions, gone ones included; unreadable rows are left out."""
        ...

    async def get_action(self, tenant_id: str, key: str) -> ImprovementAction | None:
        """Return one, or None. Raises RowUnreadable."""
        ...

    async def save_reading(
        self,
        tenant_id: str,
        changed: Sequence[ImprovementAction],
        texts: Mapping[str, str],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """Store changed improvement actions, texts that are not stored yet, and snapshots; safe to repeat.

        Texts are stored before the improvement actions that name them.
        """
        ...

    async def get_texts(self, tenant_id: str, hashes: Collection[str]) -> Mapping[str, str]:
        """Return raw HTML by hash; unknown hashes are left out."""
        ...

    async def list_snapshots(self, tenant_id: str, *, since: date | None = None) -> Sequence[Snapshot]:
        """Return snapshots, oldest first; unreadable rows are left out."""
        ...

    async def delete_all(self, tenant_id: str) -> None:
        """Delete everything about a tenant except its claims, so that connecting it again doubles no ticket."""
        ...


class ClaimStore(Protocol):
    """Claims and batches, in the tenant's partition. Every method can raise StorageUnavailable."""

    async def get_claim(self, tenant_id: str, key: str) -> Claim:
        """Return the claim; a new one, without tickets, if there is none."""
        ...

    async def list_claims(self, tenant_id: str) -> Sequence[Claim]:
        """Return all claims of a tenant."""
        ...

    async def save_claim(self, claim: Claim) -> Claim:
        """Store the claim if its etag is still the stored one; return it with its new etag.

        A repetition of our own write counts as that write. Raises :class:`shared.connections.ports.RowChanged`.
        """
        ...

    async def create_batch(self, batch: Batch) -> Batch:
        """Store a batch; return the stored one if there is already one with this id."""
        ...

    async def get_batch(self, tenant_id: str, batch_id: str) -> Batch | None:
        """Return the batch, or None."""
        ...
