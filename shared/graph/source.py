"""Secure Score as a source of recommendations, read through Microsoft Graph."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from shared.errors import (
    ConnectorError,
    GraphAnswerTooLarge,
    GraphTimeout,
    GraphUnavailable,
    TenantRefused,
)
from shared.graph.answers import READING_ROLE, SUFFICIENT_ROLES
from shared.graph.decoding import SecureScoreDecoder
from shared.graph.lists import GraphLists
from shared.graph.tokens import GraphToken, TenantTokens
from shared.log import log_event
from shared.recommendations.model import Snapshot, SourceName
from shared.recommendations.ports import Reading
from shared.recommendations.reading.joining import joined, snapshot_of
from shared.recommendations.reading.secure_score import SecureScore
from shared.service import service
from shared.tenants.model import Tenant

HISTORY_DAYS: Final = 90
"""Microsoft keeps no more (Microsoft Graph §1.4)."""
HISTORY_PART: Final = 10
"""Days in one answer. The old ones have 15 to 40 KB each; if all were as rich as the newest, this would be 2 MB."""
HISTORY_S: Final = 30.0
"""Seconds for the past days: half of what a reading has, so that what is known of the present can be stored."""


@service
class SecureScoreSource:
    """Implements :class:`shared.recommendations.ports.Source`.

    A reading is one request for each page of the catalogue and one for the newest score. The score's answer names a
    next page, which is not followed: it would lead through the whole history, a day at a time (Microsoft Graph §1.3).
    """

    lists: GraphLists
    tokens: TenantTokens

    async def read(self, tenant: Tenant, *, with_history: bool) -> Reading:
        """See the port."""
        tenant_id = tenant.tenant_id
        token = await self._token(tenant_id)
        if not SUFFICIENT_ROLES & set(token.roles):
            raise TenantRefused("graph_permission_missing", wanted=READING_ROLE)
        decoder = SecureScoreDecoder(tenant_id)
        profiles = await self.lists.whole(tenant_id, "secureScoreControlProfiles", decoder.profile)
        scores = await self.lists.part(tenant_id, "secureScores", decoder.score, top=1)
        if scores.received and not scores.entries:
            raise GraphUnavailable("graph_answer_unusable")
        newest = max(scores.entries, key=lambda score: score.day, default=None)
        past = _PastDays() if newest is None or not with_history else await self._past_days(decoder, newest)
        if skipped := profiles.skipped + scores.skipped:
            log_event("controls_skipped", tenant_id=tenant_id, skipped=skipped)
        actions, texts = joined(tenant_id, profiles.entries, newest)
        return Reading(
            source=SourceName.SECURE_SCORE,
            is_complete=profiles.is_complete and scores.is_complete,
            actions=actions,
            texts=texts,
            snapshot=None if newest is None else snapshot_of(newest),
            history=sorted(past.snapshots.values(), key=lambda snapshot: snapshot.day),
            is_history_complete=past.is_complete,
            roles=token.roles,
        )

    async def roles(self, tenant: Tenant) -> tuple[str, ...]:
        """See the port."""
        return (await self._token(tenant.tenant_id)).roles

    async def _token(self, tenant_id: str) -> GraphToken:
        """Return an access token. One that cannot read may be older than the permission, so another is asked for."""
        token = await self.tokens.access_token(tenant_id)
        return token if SUFFICIENT_ROLES & set(token.roles) else await self.tokens.new_access_token(tenant_id)

    async def _past_days(self, decoder: SecureScoreDecoder, newest: SecureScore) -> _PastDays:
        """Return the snapshots before the newest, as far as they can be read. Raises TenantRefused."""
        past = _PastDays()
        error: ConnectorError
        try:
            async with asyncio.timeout(HISTORY_S):
                await self._read_past_days(decoder, newest, past)
                return past
        except TenantRefused:
            raise
        except ConnectorError as failure:
            error = failure
        except TimeoutError:
            error = GraphTimeout()
        log_event("history_not_read", level=logging.WARNING, tenant_id=decoder.tenant_id, code=error.code)
        past.is_complete = False
        return past

    async def _read_past_days(self, decoder: SecureScoreDecoder, newest: SecureScore, past: _PastDays) -> None:
        """Add the snapshots before the newest. Days can be missing (Microsoft Graph §1.4).

        All in one answer could exceed its bound, so it is read in parts, and in smaller ones if these are too large.
        """
        read, at_once = 1, HISTORY_PART
        while read < HISTORY_DAYS:
            top = min(at_once, HISTORY_DAYS - read)
            try:
                part = await self.lists.part(decoder.tenant_id, "secureScores", decoder.score, top=top, skip=read)
            except GraphAnswerTooLarge:
                if at_once == 1:
                    raise
                at_once //= 2
                continue
            known = len(past.snapshots)
            for score in part.entries:
                if score.snapshot_id != newest.snapshot_id:
                    past.snapshots.setdefault(score.snapshot_id, snapshot_of(score))
            past.is_complete = past.is_complete and part.is_complete
            if not part.received or (part.entries and len(past.snapshots) == known):
                return
            read += part.received


@dataclass(slots=True)
class _PastDays:
    """The snapshots before the newest, by id, as far as they have been read."""

    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    is_complete: bool = True
