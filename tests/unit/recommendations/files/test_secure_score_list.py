"""The portal's list is read in each language and form, and its rows are matched only where there is one possibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import FixRequest
from shared.recommendations.files.listed_actions import ReadList, reading_of_list
from shared.recommendations.files.portal_words import status_of
from shared.recommendations.files.secure_score_list import ListedAction, read_secure_score_list
from shared.recommendations.model import ActionStatus, Disposition, ImprovementAction, SourceName

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)
ENGLISH = (
    "Rank,Recommended action,Score impact,Points achieved,Status,Regressed,Have license?,Category,Product\r\n"
    '1,"Require MFA, everywhere",+0.96 %,0/10,To address,No,Yes,Identity,Microsoft Entra ID\r\n'
    "2,Turn on Safe Attachments,+0.77 %,7.83/8,Planned,No,No,Apps,Defender for Office\r\n"
)
GERMAN = (
    "Rang;Empfohlene Aktion;Auswirkung auf die Bewertung;Erreichte Punkte;Status;Kategorie;Produkt;Lizenz vorhanden?\n"
    "1;Require MFA, everywhere;+0,96 %;0/10;Zu behandeln;Identity;Microsoft Entra ID;Ja\n"
    "2;Turn on Safe Attachments;+0,77 %;7,83/8;Geplant;Apps;Defender for Office;Nein\n"
)
JAPANESE = (
    "順位\t推奨される操作\tスコアへの影響\t達成したポイント\t状態\tカテゴリ\t製品\tライセンスはありますか？\r\n"
    "1\tRequire MFA, everywhere\t+0.96 %\t0/10\t対処が必要\tIdentity\tMicrosoft Entra ID\tはい\r\n"
    "2\tTurn on Safe Attachments\t+0.77 %\t7.83/8\t計画済み\tApps\tDefender for Office\tいいえ\r\n"
)


def plain(rows: Sequence[ListedAction]) -> list[ListedAction]:
    return [replace(row, status_word="") for row in rows]


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, JAPANESE], ids=["English", "German", "Japanese"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_each_language_and_encoding_says_the_same(text: str, encoding: str) -> None:
    rows = read_secure_score_list(text.encode(encoding))
    assert plain(rows) == plain(read_secure_score_list(ENGLISH.encode()))
    mfa, attachments = rows
    assert (mfa.row, mfa.rank, mfa.title, mfa.has_licence) == (2, 1, "Require MFA, everywhere", True)
    assert (mfa.points, mfa.max_points, mfa.status) == (Decimal(0), Decimal(10), ActionStatus.TO_ADDRESS)
    assert (attachments.points, attachments.max_points) == (Decimal("7.83"), Decimal(8))
    assert (attachments.status, attachments.has_licence) == (ActionStatus.PLANNED, False)
    assert (attachments.category, attachments.product) == ("Apps", "Defender for Office")


def test_a_file_with_other_headings_is_refused_with_both() -> None:
    with pytest.raises(FixRequest) as refused:
        read_secure_score_list(b"Name,Points achieved,Owner\r\na,0/1,b\r\n")
    assert refused.value.values == {
        "variant": "headings",
        "names": "Name, Points achieved, Owner",
        "wanted": "Recommended action, Status",
    }


def test_each_fault_names_its_row() -> None:
    text = "Recommended action,Points achieved,Status\n,0/1,Completed\nA,10-Jan,Completed\nB,,Completed\n"
    with pytest.raises(FixRequest) as refused:
        read_secure_score_list(text.encode())
    assert [(fault["pointer"], fault["code"]) for fault in refused.value.values["errors"]] == [
        ("/CSV/2/Recommended action", "missing"),
        ("/CSV/3/Points achieved", "not_points"),
    ]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Resolved through third party", ActionStatus.THIRD_PARTY),
        ("resolved through Third-Party ", ActionStatus.THIRD_PARTY),
        ("Resolved through alternate mitigation", ActionStatus.ALTERNATE_MITIGATION),
        ("Risk accepted", ActionStatus.RISK_ACCEPTED),
        ("Abgeschlossen", ActionStatus.COMPLETED),
        ("Something else", None),
    ],
)
def test_words_of_the_portal(word: str, status: ActionStatus | None) -> None:
    assert status_of(word) is status


def listed(title: str, product: str = "", **others: object) -> ListedAction:
    row = ListedAction(2, title, Decimal(3), Decimal(5), ActionStatus.TO_ADDRESS, "To address", "", product, None, None)
    return replace(row, **others)  # type: ignore[arg-type]


def control(source_id: str, title: str, service: str = "") -> ImprovementAction:
    return ImprovementAction("t", SourceName.SECURE_SCORE, source_id, title, service=service, points=Decimal(1))


def matched(rows: Sequence[ListedAction], *stored: ImprovementAction) -> ReadList:
    return reading_of_list(rows, stored, "t", NOW)


def test_a_title_that_is_unique_on_both_sides_is_the_control() -> None:
    result = matched([listed("Require  mfa")], control("MFA", "Require MFA", "AzureAD"))
    (found,) = result.reading.actions
    assert (found.source_id, found.title, found.points, found.file_at) == ("MFA", "Require MFA", Decimal(3), NOW)
    assert not result.reading.is_complete


@pytest.mark.parametrize(
    ("product", "matches"),
    [("GitHub", "MDA_GitHub"), ("MDA_Okta", "MDA_Okta"), ("Google Workspace", "MDA_Google"), ("Zoom", None)],
)
def test_the_product_tells_equal_titles_apart(product: str, matches: str | None) -> None:
    stored = [control(each, "Enable MFA", each) for each in ("MDA_GitHub", "MDA_Okta", "MDA_Google")]
    (found,) = matched([listed("Enable MFA", product)], *stored).reading.actions
    assert found.source_id == (matches or found.source_id)
    assert found.is_of_file is (matches is None)


def test_another_product_is_another_action_even_if_the_title_is_unique() -> None:
    (found,) = matched([listed("Enable MFA", "Exchange Online")], control("a", "Enable MFA", "AzureAD")).reading.actions
    assert found.is_of_file


@pytest.mark.parametrize(
    ("rows", "stored"),
    [
        ([listed("A")], [control("a", "A", "X"), control("b", "A", "Y")]),
        ([listed("A", "MDO")], [control("a", "A", "MDO"), control("1.a", "A", "MDO")]),
        ([listed("A"), listed("A")], [control("a", "A", "MDO")]),
        ([listed("A", "one"), listed("A", "two")], [control("a", "A", "MDO")]),
        ([listed("A", "one"), listed("a", "One")], []),
    ],
    ids=["two controls", "two instances", "two rows", "two unknown products", "two rows of no control"],
)
def test_what_could_be_several_actions_is_reported_and_left_out(
    rows: Sequence[ListedAction], stored: Sequence[ImprovementAction]
) -> None:
    result = matched(rows, *stored)
    assert list(result.ambiguous) == list(rows)
    assert result.reading.actions == []


def test_a_second_import_updates_what_only_files_know() -> None:
    (first,) = matched([listed("A", "Zoom")]).reading.actions
    result = reading_of_list([listed("a ", "zoom", points=Decimal(5))], [first], "t", LATER)
    (second,) = result.reading.actions
    assert (second.source_id, second.title, second.points, second.file_at) == (first.source_id, "a ", Decimal(5), LATER)


def test_an_unknown_status_is_reported_and_changes_no_decision() -> None:
    stored = replace(control("a", "A"), disposition=Disposition.THIRD_PARTY)
    row = listed("A", status=None, status_word="Huh")
    result = matched([row], stored)
    assert result.unknown_statuses == [row]
    assert result.reading.actions[0].disposition is Disposition.THIRD_PARTY
    (planned,) = matched([listed("A", status=ActionStatus.PLANNED)], stored).reading.actions
    assert planned.disposition is Disposition.PLANNED


NAMES = st.sampled_from(["A", "B", "a", "C"])
PRODUCTS = st.sampled_from(["", "MDO", "Exchange Online", "MDA_Okta", "Okta", "Zoom"])


@given(
    rows=st.lists(st.builds(listed, NAMES, PRODUCTS), max_size=6),
    titles=st.lists(st.tuples(NAMES, PRODUCTS), max_size=6),
)
def test_no_row_is_lost_and_no_action_gets_two(rows: list[ListedAction], titles: list[tuple[str, str]]) -> None:
    stored = [control(f"{number}", title, service) for number, (title, service) in enumerate(titles)]
    result = matched(rows, *stored)
    ids = [action.source_id for action in result.reading.actions]
    assert len(ids) == len(set(ids))
    assert len(ids) + len(result.ambiguous) == len(rows)
