"""What Microsoft recommends, as we store it.

A recommendation is identified by tenant, source and the source's own id; everything else about it may change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.texts import one_line
from shared.tickets.model import RecommendationReference, reference_key
from shared.value_object import value_object

OF_FILE: Final = "file:"
"""Begins the source id of an action of Secure Score that only files know; no control id of Microsoft has a colon."""


class SourceName(StrEnum):
    """Where a recommendation comes from."""

    SECURE_SCORE = "secure_score"
    """Microsoft Graph, or the list that the Defender portal exports."""
    COMPLIANCE_MANAGER = "compliance_manager"
    """The workbook that Compliance Manager exports (Microsoft Graph §4.2)."""


class Presence(StrEnum):
    """In which of Secure Score's two lists a control is (Microsoft Graph §1.6)."""

    BOTH = "both"
    SCORE_ONLY = "score_only"
    """It has points but no texts."""
    PROFILE_ONLY = "profile_only"
    """No licence, or nothing to measure: it is hidden unless somebody asks for it."""


class Level(StrEnum):
    """How much an improvement action costs, or how much users notice of it."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    UNKNOWN = "unknown"


class Disposition(StrEnum):
    """What somebody decided about an improvement action in Microsoft's portal (Microsoft Graph §1.7)."""

    DEFAULT = "default"
    PLANNED = "planned"
    """Only files say this."""
    IGNORED = "ignored"
    """The risk is accepted."""
    THIRD_PARTY = "third_party"
    REVIEWED = "reviewed"
    """An alternate mitigation."""


class ActionStatus(StrEnum):
    """What is left to do about an improvement action, in the portal's words."""

    TO_ADDRESS = "to_address"
    PLANNED = "planned"
    RISK_ACCEPTED = "risk_accepted"
    THIRD_PARTY = "third_party"
    ALTERNATE_MITIGATION = "alternate_mitigation"
    COMPLETED = "completed"
    NOT_MEASURED = "not_measured"
    """It is only in the catalogue (:attr:`Presence.PROFILE_ONLY`)."""
    OUT_OF_SCOPE = "out_of_scope"
    """Somebody said so in Compliance Manager."""
    GONE = "gone"
    """It was missing from two complete readings of different snapshots."""


@value_object
class ActionTexts:
    """Hashes of an improvement action's raw HTML texts (:func:`text_hash`); None for a text that it does not have."""

    remediation: str | None = None
    impact: str | None = None
    description: str | None = None
    implementation_status: str | None = None


@value_object
class ComplianceDetails:
    """What only Compliance Manager says about an action (Microsoft Graph §4.2), in the file's own words.

    Attributes:
        implementation_status: ``Implemented``, ``Planned`` and so on; empty if nobody touched it.
        testing_type: ``Manual``, ``Automatic`` or ``Parent``.
    """

    implementation_status: str = ""
    test_status: str = ""
    action_type: str = ""
    testing_type: str = ""
    service_scope: str = ""
    solution: str = ""
    group: str = ""
    assigned_to: str = ""
    regulations: tuple[str, ...] = ()
    assessments: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    notes: str = ""
    implemented_on: date | None = None
    tested_on: date | None = None


@value_object
class ImprovementAction:
    """A recommendation: something that a tenant should do, and how far it has come.

    Attributes:
        source_id: The source's own id, exactly as it is. It can contain dots, slashes, ``#`` and blanks.
        title: As received; equal to the id or empty for some (Microsoft Graph §1.2).
        category: As received, such as ``Identity``; an open set.
        service: Microsoft's code of the product, as received, such as ``MDO``; an open set.
        link: Where a person can act on it, as received; not yet checked to be an https address.
        tier: As received, such as ``Core``.
        rank: Microsoft's order, 1 first; not unique.
        threats: As received; spelling and case vary.
        points: Points that the tenant has for it; None if it is not measured.
        max_points: Points that it can have; None if nobody knows.
        count, total: How many objects comply, of how many; None if it does not count objects.
        measured_at: When Microsoft measured it (``lastSynced``); None if unknown.
        disposition: What somebody decided in the portal.
        decided_at: Since when that is so, as far as Microsoft says; None if it does not, or nobody decided anything.
        has_licence: What a file says about the licence; None if nothing says it.
        first_seen_at: When we first read it.
        seen_at: When we last read it.
        missing_snapshot_id: The snapshot of the first complete reading that lacked it; None if the last had it.
        gone_at: When it was found to be gone; None if it is not.
        file_at: When the file that it comes from was exported or uploaded; None if Microsoft Graph said it.
        compliance: What only Compliance Manager says; None for other sources.
        kept: Values in the stored row that only another release knows; they are written back unchanged.
    """

    tenant_id: str
    source: SourceName
    source_id: str
    title: str
    category: str = ""
    service: str = ""
    link: str = ""
    tier: str = ""
    rank: int | None = None
    implementation_cost: Level = Level.UNKNOWN
    user_impact: Level = Level.UNKNOWN
    threats: tuple[str, ...] = ()
    texts: ActionTexts = field(default_factory=ActionTexts)
    presence: Presence = Presence.BOTH
    is_deprecated: bool = False
    points: Decimal | None = None
    max_points: Decimal | None = None
    count: int | None = None
    total: int | None = None
    is_on: bool | None = None
    measured_at: datetime | None = None
    disposition: Disposition = Disposition.DEFAULT
    decided_at: datetime | None = None
    has_licence: bool | None = None
    first_seen_at: datetime | None = None
    seen_at: datetime | None = None
    missing_snapshot_id: str | None = None
    gone_at: datetime | None = None
    file_at: datetime | None = None
    compliance: ComplianceDetails | None = None
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def shown_title(self) -> str:
        """The title as one line, the id if there is no title, or the key if neither can be shown."""
        return one_line(self.title) or one_line(self.source_id) or self.key

    @property
    def key(self) -> str:
        """Its key within the tenant, for rows and addresses."""
        return recommendation_key(self.source, self.source_id)

    @property
    def is_of_file(self) -> bool:
        """Whether only files know it: Microsoft Graph has not named it."""
        return self.source is SourceName.SECURE_SCORE and self.source_id.startswith(OF_FILE)

    @property
    def reference(self) -> RecommendationReference:
        """What its tickets know of it."""
        return RecommendationReference(self.tenant_id, self.source.value, self.source_id)


def recommendation_key(source: SourceName, source_id: str) -> str:
    """Return the key of a recommendation within its tenant: 32 hexadecimal digits that only source and id decide."""
    return reference_key(source.value, source_id)


def text_hash(html: str) -> str:
    """Return the key of a stored text: 32 hexadecimal digits."""
    return hashlib.sha256(html.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@value_object
class ControlPoints:
    """The points of one control in a snapshot."""

    points: Decimal
    max_points: Decimal | None = None


@value_object
class Average:
    """How others score, in percent (Microsoft Graph §1.4).

    Attributes:
        basis: Such as ``AllTenants``.
    """

    basis: str
    percent: Decimal


@value_object
class Snapshot:
    """A tenant's Secure Score on one day.

    Attributes:
        snapshot_id: Microsoft's own id.
        controls: Points by control id.
    """

    snapshot_id: str
    day: date
    score: Decimal
    max_score: Decimal
    controls: Mapping[str, ControlPoints] = field(default_factory=dict, repr=False)
    averages: tuple[Average, ...] = ()
