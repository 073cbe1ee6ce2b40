from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.recommendations.listing import (
    Choices,
    Filters,
    GroupColumn,
    SortColumn,
    Totals,
    choices_of,
    filtered,
    grouped,
    ordered,
    totals_of,
)
from shared.recommendations.model import (
    ActionStatus,
    ComplianceDetails,
    Disposition,
    ImprovementAction,
    Level,
    Presence,
    SourceName,
)
from shared.storage.rows import open_value
from tests.unit.recommendations import strategies as some

MEASURED_AT = datetime(2026, 11, 22, tzinfo=UTC)
MAIL = ImprovementAction(
    some.TENANT,
    SourceName.SECURE_SCORE,
    "mdo_safeattachments",
    "Turn on Safe Attachments",
    category="Apps",
    service="MDO",
    tier="Core",
    rank=2,
    implementation_cost=Level.LOW,
    user_impact=Level.LOW,
    threats=("Malicious Insider",),
    points=Decimal(2),
    max_points=Decimal(8),
    measured_at=MEASURED_AT,
)
SIGN_IN = replace(
    MAIL,
    source_id="MFARegistrationV2",
    title="Ｒequire MFA",
    category="Identity",
    service="AzureAD",
    tier="",
    rank=1,
    implementation_cost=Level.UNKNOWN,
    user_impact=Level.HIGH,
    threats=(),
    points=Decimal(9),
    max_points=Decimal(9),
    measured_at=None,
)
AUDIT = replace(
    MAIL,
    source=SourceName.COMPLIANCE_MANAGER,
    source_id="guid",
    title="Review the audit log",
    category="apps",
    service="Microsoft 365",
    rank=None,
    implementation_cost=Level.HIGH,
    user_impact=Level.MODERATE,
    threats=(),
    points=None,
    max_points=Decimal(27),
    measured_at=None,
    compliance=ComplianceDetails(assigned_to="Ada@contoso.example", regulations=("ISO 27001", "GDPR")),
)
HIDDEN = replace(MAIL, source_id="scid_1", title="Encrypt", presence=Presence.PROFILE_ONLY, points=None)
ALL = [MAIL, SIGN_IN, AUDIT, HIDDEN]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [MAIL, SIGN_IN, AUDIT]),
        (Filters(shows_hidden=True), ALL),
        (Filters(text="  SAFE turn "), [MAIL]),
        (Filters(text="require mfa"), [SIGN_IN]),
        (Filters(text="mdo_SAFE"), [MAIL]),
        (Filters(text="defender office"), [MAIL]),
        (Filters(text="insider"), [MAIL]),
        (Filters(text="ada@"), [AUDIT]),
        (Filters(text="safe nowhere"), []),
        (Filters(category="APPS"), [MAIL, AUDIT]),
        (Filters(category="app"), []),
        (Filters(product="Microsoft Entra ID"), [SIGN_IN]),
        (Filters(product="azuread"), [SIGN_IN]),
        (Filters(status=ActionStatus.COMPLETED), [SIGN_IN]),
        (Filters(status=ActionStatus.NOT_MEASURED), [HIDDEN]),
        (Filters(has_ticket=True), [MAIL]),
        (Filters(has_ticket=False), [SIGN_IN, AUDIT]),
        (Filters(min_points=Decimal(6)), [MAIL]),
        (Filters(min_points=Decimal(0)), [MAIL, SIGN_IN]),
        (Filters(is_quick_win=True), [MAIL]),
        (Filters(source=SourceName.COMPLIANCE_MANAGER), [AUDIT]),
        (Filters(regulation="gdpr"), [AUDIT]),
        (Filters(owner="ADA@contoso.example"), [AUDIT]),
        (Filters(owner="bob@contoso.example"), []),
        (Filters(category="apps", has_ticket=False), [AUDIT]),
    ],
)
def test_filters(filters: Filters, expected: Sequence[ImprovementAction]) -> None:
    assert filtered(ALL, filters, {MAIL.key}) == expected


def test_a_status_of_hidden_actions_shows_them_and_no_other_status_does() -> None:
    without_licence = replace(MAIL, has_licence=False)
    assert filtered([without_licence], Filters(status=ActionStatus.TO_ADDRESS), ()) == []
    gone = replace(MAIL, gone_at=MEASURED_AT)
    assert filtered([gone], Filters(status=ActionStatus.GONE), ()) == [gone]
    out_of_scope = replace(AUDIT, compliance=ComplianceDetails(implementation_status="NotInScope"))
    assert filtered([out_of_scope], Filters(status=ActionStatus.OUT_OF_SCOPE), ()) == [out_of_scope]


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        (SortColumn.RANK, [SIGN_IN, MAIL, AUDIT]),
        (SortColumn.TITLE, [SIGN_IN, AUDIT, MAIL]),
        (SortColumn.POINTS, [MAIL, SIGN_IN, AUDIT]),
        (SortColumn.POINTS_TO_GAIN, [SIGN_IN, MAIL, AUDIT]),
        (SortColumn.PRODUCT, [AUDIT, MAIL, SIGN_IN]),
        (SortColumn.COST, [MAIL, AUDIT, SIGN_IN]),
        (SortColumn.USER_IMPACT, [MAIL, AUDIT, SIGN_IN]),
        (SortColumn.STATUS, [MAIL, AUDIT, SIGN_IN]),
        (SortColumn.MEASURED_AT, [MAIL, SIGN_IN, AUDIT]),
        (SortColumn.OWNER, [AUDIT, SIGN_IN, MAIL]),
        (SortColumn.TICKET, [AUDIT, SIGN_IN, MAIL]),
        (SortColumn.CATEGORY, [MAIL, AUDIT, SIGN_IN]),
    ],
)
def test_order(column: SortColumn, ascending: Sequence[ImprovementAction]) -> None:
    tickets = {AUDIT.key: "CHG1", SIGN_IN.key: "CHG2"}
    assert ordered([MAIL, AUDIT, SIGN_IN], column, tickets=tickets) == ascending


@settings(max_examples=30)
@given(
    st.lists(some.actions, max_size=5, unique_by=lambda action: action.key),
    st.sampled_from(SortColumn),
    st.randoms(use_true_random=False),
)
def test_an_order_is_total_and_what_has_no_value_is_last(
    actions: list[ImprovementAction], column: SortColumn, random: Random
) -> None:
    tickets = {action.key: action.title for action in actions[::2]}
    up = ordered(actions, column, tickets=tickets)
    down = ordered(actions, column, is_descending=True, tickets=tickets)
    assert sorted(action.key for action in up) == sorted(action.key for action in actions)
    random.shuffle(actions)
    assert ordered(iter(actions), column, tickets=tickets) == up
    assert {action.key for action in down} == {action.key for action in up}
    if column in {SortColumn.POINTS, SortColumn.RANK}:
        values = [action.points if column is SortColumn.POINTS else action.rank for action in up]
        known = [value for value in values if value is not None]
        assert values == [*known, *[None] * (len(values) - len(known))]
        assert all(one <= other for one, other in pairwise(known))
        backwards = [action.points if column is SortColumn.POINTS else action.rank for action in down]
        assert backwards == [*reversed(known), *[None] * (len(values) - len(known))]


@given(st.permutations([MAIL, SIGN_IN, AUDIT, HIDDEN]), st.sampled_from(GroupColumn))
def test_groups_have_every_action_once_in_its_order(actions: Sequence[ImprovementAction], column: GroupColumn) -> None:
    groups = grouped(iter(actions), column)
    assert all(group.actions for group in groups)
    assert sorted(action.key for group in groups for action in group.actions) == sorted(each.key for each in actions)
    for group in groups:
        assert list(group.actions) == [action for action in actions if action in group.actions]
        assert group.totals == totals_of(group.actions)
    assert [group.value for group in groups if not group.value] == [group.value for group in groups][-1:] * (
        "" in {group.value for group in groups}
    )


def test_groups_do_not_depend_on_spelling() -> None:
    groups = grouped([AUDIT, SIGN_IN, MAIL], GroupColumn.CATEGORY)
    assert [(group.value, group.actions) for group in groups] == [("apps", [AUDIT, MAIL]), ("Identity", [SIGN_IN])]
    assert [group.value for group in grouped(ALL, GroupColumn.STATUS)] == ["to_address", "completed", "not_measured"]
    assert [group.value for group in grouped(ALL, GroupColumn.OWNER)] == ["Ada@contoso.example", ""]


def test_totals() -> None:
    assert totals_of([]) == Totals(0, Decimal(0))
    assert totals_of(ALL) == Totals(4, Decimal(6))


def test_choices() -> None:
    planned = replace(MAIL, disposition=Disposition.PLANNED, category="", service="")
    assert choices_of(iter([*ALL, planned])) == Choices(
        categories=["Apps", "Identity"],
        products=["Microsoft 365", "Microsoft Defender for Office 365", "Microsoft Entra ID"],
        regulations=["GDPR", "ISO 27001"],
        owners=["Ada@contoso.example"],
    )


TOMORROWS = replace(
    MAIL,
    source=open_value(SourceName, "entra"),
    source_id="tomorrow",
    implementation_cost=open_value(Level, "enormous"),
    user_impact=open_value(Level, "enormous"),
    presence=open_value(Presence, "elsewhere"),
    disposition=open_value(Disposition, "postponed"),
)
"""As a later release could have stored it."""


@pytest.mark.parametrize("column", SortColumn)
def test_values_of_another_release_have_a_place_in_every_order(column: SortColumn) -> None:
    for is_descending in (False, True):
        listed = ordered([TOMORROWS, MAIL, SIGN_IN], column, is_descending=is_descending)
        assert {each.source_id for each in listed} == {"tomorrow", MAIL.source_id, SIGN_IN.source_id}
        if column in {SortColumn.COST, SortColumn.USER_IMPACT}:
            assert listed.index(TOMORROWS) > listed.index(MAIL), "it counts as unknown"


@pytest.mark.parametrize("column", GroupColumn)
def test_values_of_another_release_are_in_a_group(column: GroupColumn) -> None:
    assert sum(len(group.actions) for group in grouped([TOMORROWS, MAIL], column)) == 2
