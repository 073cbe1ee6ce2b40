"""The improvement actions of an invented organisation: made from a seed, and worked on from day to day."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

EXPORTED_AT = datetime(2026, 11, 24, 9, 30)  # noqa: DTZ001 -- the zone of the workbook's dates is NOT FOUND (Microsoft Graph §4.2)
"""The moment the dates of the invented actions lead up to."""

TEST_STATUSES: Mapping[str, tuple[str, ...]] = {
    "Implemented": ("Passed", "FailedLowRisk", "FailedMediumRisk", "FailedHighRisk", "InProgress", "NotInScope"),
    "AlternativeImplementation": (
        *("Passed", "FailedLowRisk", "FailedMediumRisk", "FailedHighRisk", "InProgress", "NotInScope"),
    ),
    "NotImplemented": ("None",),
    "Planned": ("None",),
    "NotInScope": ("NotInScope",),
}
"""The test statuses that go with an implementation status (Microsoft Graph §4.2)."""

TEST_STATUS_WORDS: Mapping[str, str] = {
    "None": "None",
    "NotAssessed": "Not assessed",
    "Passed": "Passed",
    "FailedLowRisk": "Failed low risk",
    "FailedMediumRisk": "Failed medium risk",
    "FailedHighRisk": "Failed high risk",
    "NotInScope": "Out of scope",
    "ToBeDetermined": "To be detected",
    "CouldNotBeDetermined": "Could not be detected",
    "PartiallyTested": "Partially tested",
    "InProgress": "In progress",
}
"""What the page says for a test status (Microsoft Graph §4.2)."""

_REGULATIONS = (
    "Data Protection Baseline",
    "ISO/IEC 27001:2022",
    "NIST 800-53 Rev. 5",
    "EU GDPR",
    "PCI DSS v4.0",
)
_GROUPS = ("Default Group", "Finance", "Research")
_OWNERS = ("anna.becker@contoso.example", "ren.sato@contoso.example", "maria.lopez@contoso.example", "")
_SOLUTIONS = (
    "Microsoft Entra ID",
    "Exchange Online",
    "Microsoft Intune",
    "Data Loss Prevention",
    "Information protection",
    "Audit",
    "Compliance Manager",
)
_CATEGORIES = (
    "Control Access",
    "Discover and Respond",
    "Infrastructure Cloud",
    "Manage Devices",
    "Protect Information",
    "Protect Against Threats",
)
_PRODUCTS = ("Microsoft 365", "Exchange Online", "SharePoint Online", "Microsoft Teams", "Azure", "Windows")
_SUBJECTS = (
    *("multi-factor authentication", "audit log search", "data loss prevention policies", "sensitivity labels"),
    *("retention labels", "customer lockbox", "privileged access reviews", "password protection", "legacy sign-in"),
    *("mailbox auditing", "mobile device encryption", "guest access", "external sharing", "anti-phishing policies"),
    *("incident response", "business continuity", "vendor risk assessments", "security awareness training"),
    *("configuration baselines", "key management", "network segmentation", "change control", "asset inventories"),
    *(
        "vulnerability scans",
        "media disposal",
        "physical access logs",
        "records of processing",
        "data subject requests",
    ),
    *("background checks", "remote maintenance", "time synchronisation", "session timeouts", "code reviews"),
    *("break-glass accounts", "conditional access", "insider risk indicators", "eDiscovery holds", "backup restores"),
)
_KINDS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "Technical": ("Turn on {subject} for {product}", (27, 27, 9, 1)),
    "Documentation": ("Document the rules for {subject} in {product}", (9, 3, 1)),
    "Operational": ("Review {subject} in {product} every quarter", (27, 9, 3)),
}
"""How actions of a type are named, and the points that they are worth (27, 9, 3 or 1, §4.2)."""
_CONTROLS = (
    ("Access control", "A.5.15", "Access control rules"),
    ("Access control", "A.5.18", "Access rights"),
    ("Cryptography", "A.8.24", "Use of cryptography"),
    ("Incident management", "A.5.24", "Planning for incidents"),
    ("Logging", "A.8.15", "Logging"),
    ("Human resources", "A.6.3", "Awareness, education and training"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An improvement action; each attribute is a cell of the workbook (Microsoft Graph §4.2).

    Attributes:
        implementation_status: One of :data:`TEST_STATUSES`, or empty if nobody has touched the action.
        implemented_at: Date and time without a zone, as the workbook has it.
        tested_at: Not before ``implemented_at``.
        documents: Pairs of name and address.
        points: What it has achieved, of ``maximum``.
        control: Family, number and title of a control that it belongs to.
    """

    id: str
    name: str
    description: str
    applicable_to: str
    group: str
    action_type: str
    testing_type: str
    maximum: int
    points: int = 0
    implementation_status: str = ""
    implemented_at: datetime | None = None
    implementation_notes: str = ""
    test_status: str = ""
    tested_at: datetime | None = None
    test_notes: str = ""
    documents: tuple[tuple[str, str], ...] = ()
    assigned_to: str = ""
    regulations: tuple[str, ...]
    solution: str
    categories: tuple[str, ...]
    control: tuple[str, str, str]

    @property
    def assessments(self) -> tuple[str, ...]:
        """The assessments that it belongs to, one for each regulation."""
        return tuple(f"{regulation} assessment" for regulation in self.regulations)


def invented_actions(count: int = 145, *, seed: int = 1, once_per_group: bool = False) -> list[Action]:
    """Return actions with ids and names of their own; the same arguments always give the same actions.

    Args:
        count: How many. 145 is the size of the workbook that Microsoft Graph §4.2 was read from.
        seed: Chooses everything that is not a name.
        once_per_group: Actions that are not technical come once for each group, under the same name. That they count
            once per group is documented; whether a workbook repeats their names is NOT FOUND.
    """
    chance = random.Random(seed)  # noqa: S311 -- no secret
    actions: list[Action] = []
    for name, action_type, product in _names():
        everywhere = once_per_group and action_type != "Technical"
        for group in _GROUPS if everywhere else (chance.choice(_GROUPS),):
            if len(actions) == count:
                return actions
            actions.append(_invented(name, action_type, product, group, chance))
    raise AssertionError("the names never end")


def next_day(
    actions: Sequence[Action], *, seed: int = 1, changed: int = 8, added: int = 1, removed: int = 1
) -> list[Action]:
    """Return the actions a day later.

    Args:
        actions: Those of the day before, made by :func:`invented_actions`.
        seed: Chooses what happens.
        changed: How many of them somebody has worked on.
        added: How many have come with a change of an assessment.
        removed: How many have gone with it.
    """
    chance = random.Random(seed)  # noqa: S311 -- no secret
    kept = list(actions)
    for _ in range(min(removed, len(kept))):
        del kept[chance.randrange(len(kept))]
    for index in chance.sample(range(len(kept)), min(changed, len(kept))):
        kept[index] = _worked_on(kept[index], chance)
    taken = {action.name for action in actions}
    fresh = (entry for entry in _names() if entry[0] not in taken)
    for _ in range(added):
        name, action_type, product = next(fresh)
        kept.append(_invented(name, action_type, product, chance.choice(_GROUPS), chance))
    return kept


def _names() -> Iterator[tuple[str, str, str]]:
    """Yield names, all different, each with its action type and product."""
    round_number = 1
    while True:
        suffix = "" if round_number == 1 else f" (part {round_number})"
        for shift in range(len(_PRODUCTS)):
            for number, subject in enumerate(_SUBJECTS):
                product = _PRODUCTS[(number + shift) % len(_PRODUCTS)]
                for action_type, (pattern, _) in _KINDS.items():
                    yield pattern.format(subject=subject, product=product) + suffix, action_type, product
        round_number += 1


def _invented(name: str, action_type: str, product: str, group: str, chance: random.Random) -> Action:
    maximum = chance.choice(_KINDS[action_type][1])
    automatic = action_type == "Technical" and chance.random() < 0.6
    action = Action(
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        name=name,
        description=f"{name}.\nKeep a record of who decided it, and when & why it was last looked at.",
        applicable_to=product,
        group=group,
        action_type=action_type,
        testing_type="Automatic" if automatic else "Manual",
        maximum=maximum,
        assigned_to=chance.choice(_OWNERS),
        regulations=tuple(chance.sample(_REGULATIONS, chance.choice((1, 1, 2, 3)))),
        solution=chance.choice(_SOLUTIONS) if action_type == "Technical" else "Compliance Manager",
        categories=(chance.choice(_CATEGORIES),),
        control=chance.choice(_CONTROLS),
    )
    if automatic:
        statuses = ("Passed", "FailedHighRisk", "ToBeDetermined", "CouldNotBeDetermined", "PartiallyTested")
        test_status = chance.choice(statuses)
        return replace(action, test_status=test_status, points=maximum if test_status == "Passed" else 0)
    status = chance.choice(("", "", "NotImplemented", "Planned", "Implemented", "Implemented", *TEST_STATUSES))
    return _with_status(action, status, EXPORTED_AT - timedelta(minutes=chance.randrange(40_000, 600_000)), chance)


def _with_status(action: Action, status: str, at: datetime, chance: random.Random) -> Action:
    """Return the action after somebody gave it a status at that time."""
    if not status:
        return action
    done = status in {"Implemented", "AlternativeImplementation"}
    usual = ("Passed",) * 6 if done else ()
    test_status = chance.choice((*usual, *TEST_STATUSES[status]))
    tested = done and test_status not in {"InProgress", "NotInScope"}
    return replace(
        action,
        implementation_status=status,
        implemented_at=at if done else None,
        implementation_notes=f"Agreed in the meeting of {at:%d %B}." if done else "",
        test_status=test_status,
        tested_at=at + timedelta(minutes=chance.randrange(0, 600)) if tested else None,
        test_notes="Sampled three systems." if tested else "",
        documents=(("Evidence", f"https://contoso.example/evidence/{action.id}"),) if tested else (),
        points=action.maximum if test_status == "Passed" else 0,
    )


def _worked_on(action: Action, chance: random.Random) -> Action:
    """Return the action with another status, test status, or owner."""
    ways: list[Callable[[], Action]] = [
        lambda: replace(action, assigned_to=chance.choice([owner for owner in _OWNERS if owner != action.assigned_to]))
    ]
    if action.testing_type == "Automatic":
        passed = action.test_status == "Passed"
        other = "FailedHighRisk" if passed else "Passed"
        ways.append(lambda: replace(action, test_status=other, points=0 if passed else action.maximum))
    else:
        status = "Implemented" if action.implementation_status in {"", "NotImplemented", "Planned"} else "Planned"
        ways.append(lambda: _with_status(action, status, EXPORTED_AT + timedelta(hours=4), chance))
    return chance.choice(ways)()
