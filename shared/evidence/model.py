"""An event that the evidence keeps. Events are only ever added, and deleted when their retention ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from shared.value_object import value_object


@value_object
class EvidenceEvent:
    """One thing that happened to a ticket or to a recommendation. Never a secret.

    Attributes:
        kind: What happened: a ticket's event (:class:`shared.tickets.model.EventKind`), or a recommendation's
            (:class:`shared.recommendations.reading.changes.ChangeKind`).
        at: When, by our clock.
        connection_id, ticket_id: The ticket; None for an event of a recommendation.
        tenant_id: The Microsoft 365 tenant; None if the event is about none, or about several.
        keys: The recommendations that it is about.
        details: Short texts by name.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
    """

    kind: str
    at: datetime
    connection_id: str | None = None
    ticket_id: str | None = None
    tenant_id: str | None = None
    keys: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def event_id(self) -> str:
        """The same for the same event: one that was stored twice, after a crash, counts once. 32 hexadecimal digits.

        A reading that is repeated finds the same changes at a later time, so the time does not identify an event of a
        recommendation. Its details do: the snapshot, and until when the values before were seen.
        """
        at = None if self.ticket_id is None else self.at.isoformat()
        about = [self.kind, at, self.connection_id, self.ticket_id, self.tenant_id, self.keys]
        text = json.dumps([*about, sorted(self.details.items())])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@value_object
class EvidenceBatch:
    """Events that were stored together.

    Attributes:
        batch_id: Begins with the time; the same batch stored twice is stored once.
        at: When they were stored first, by our clock.
    """

    batch_id: str
    at: datetime
    events: tuple[EvidenceEvent, ...]
