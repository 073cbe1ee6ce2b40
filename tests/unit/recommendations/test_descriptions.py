from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections.model import Portal, TicketKind
from shared.recommendations.model import ActionTexts, ImprovementAction, SourceName, text_hash
from shared.recommendations.ticketing.descriptions import (
    STYLES,
    TicketTexts,
    link_of,
    texts_for_all,
    texts_for_one,
    ticket_category,
)
from shared.texts import utf16_length
from shared.tickets.model import (
    DESCRIPTION_MAX_LENGTH,
    MOST_REFERENCES,
    NAME_MAX_LENGTH,
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendedBy,
    Requester,
    TicketContent,
)
from shared.tickets.record_texts import description_with_block
from tests.unit.recommendations import strategies as some

PORTAL = "https://security.microsoft.com"
LINK = f"{PORTAL}/securescore?viewid=actions&actionId="
STEPS, IMPACT = "<ol><li>Open the page.</li><li>Turn it on.</li></ol>", "<p>Mail is slower.</p>"
TEXTS = {text_hash(STEPS): STEPS, text_hash(IMPACT): IMPACT}
ACTION = ImprovementAction(
    some.TENANT,
    SourceName.SECURE_SCORE,
    "mdo safe.attachments",
    "Turn on Safe Attachments",
    category="Apps",
    service="MDO",
    texts=ActionTexts(text_hash(STEPS), text_hash(IMPACT)),
    points=Decimal("0.50"),
    max_points=Decimal("8.0"),
)
TICKET = TicketContent(
    TicketKind.CHANGE,
    Portal.SECURITY,
    "name",
    "description",
    Priority.HIGH,
    None,
    Recommendation(RecommendedBy.MICROSOFT, RecommendationCategory.APPS, "mdo safe.attachments", f"{LINK}x"),
    Requester("object-id", "Ada Lovelace", "ada@contoso.example"),
)


def in_record(texts: TicketTexts) -> str:
    return description_with_block(replace(TICKET, description=texts.description))


def test_one_action() -> None:
    assert texts_for_one(ACTION, TEXTS, PORTAL, TICKET) == TicketTexts(
        "Turn on Safe Attachments",
        "What to do:\n1. Open the page.\n2. Turn it on.\n\n"
        "Effect on users, and what to consider for the backout plan:\nMail is slower.\n\n"
        "7.5 points to gain (0.5 of 8), Microsoft Defender for Office 365\n"
        "Id: mdo safe.attachments\n"
        f"{LINK}mdo%20safe.attachments",
        is_shortened=False,
    )


def test_an_action_without_texts_or_points() -> None:
    action = replace(ACTION, title=" \n", service="", texts=ActionTexts("unknown"), points=None)
    texts = texts_for_one(action, TEXTS, PORTAL, TICKET)
    assert texts.name == "mdo safe.attachments"
    assert texts.description == f"points not known\nId: mdo safe.attachments\n{LINK}mdo%20safe.attachments"


def test_a_long_title_is_whole_in_the_description() -> None:
    title = "😀" * 100
    texts = texts_for_one(replace(ACTION, title=title), TEXTS, PORTAL, TICKET)
    assert texts.name == f"{'😀' * 79}…"
    assert utf16_length(texts.name) <= NAME_MAX_LENGTH
    assert texts.description.startswith(f"{title}\n\nWhat to do:")


def test_an_action_of_a_workbook_has_the_workbooks_link_and_id() -> None:
    action = replace(ACTION, source=SourceName.COMPLIANCE_MANAGER, source_id="guid", link="https://purview.example/")
    assert link_of(action, PORTAL) == "https://purview.example/"
    assert texts_for_one(action, TEXTS, PORTAL, TICKET).description.endswith("Id: guid\nhttps://purview.example/")
    assert link_of(replace(action, link="javascript:alert(1)"), PORTAL) is None
    of_list = replace(ACTION, source_id="file:title:product", link="https://security.example/")
    assert link_of(of_list, PORTAL) == "https://security.example/"


def of_length(length: int, line: str = "word ") -> Mapping[str, str]:
    """Return texts in which the steps are of about this length."""
    return TEXTS | {text_hash(STEPS): (line * length)[:length]}


@pytest.mark.parametrize("line", ["word ", "<p>Link: x</p>", "😀", "<li>Recommendation: y</li>"])
def test_first_the_effect_then_the_end_of_the_steps_is_left_out(line: str) -> None:
    texts = texts_for_one(ACTION, of_length(20_000, line), PORTAL, TICKET)
    assert texts.is_shortened
    assert "(Shortened" in texts.description
    assert "Effect on users" not in texts.description
    assert f"Id: mdo safe.attachments\n{LINK}mdo%20safe.attachments" in texts.description
    length = utf16_length(in_record(texts))
    assert DESCRIPTION_MAX_LENGTH - 20 <= length <= DESCRIPTION_MAX_LENGTH


def test_steps_stay_whole_if_it_is_enough_to_leave_out_the_effect() -> None:
    long_impact = TEXTS | {text_hash(IMPACT): "word " * 2000}
    texts = texts_for_one(ACTION, long_impact, PORTAL, TICKET)
    assert texts.is_shortened
    assert "2. Turn it on.\n\n7.5 points" in texts.description


def several(count: int, id_length: int = 20, title: str = "Turn on Safe Attachments") -> list[ImprovementAction]:
    return [
        replace(ACTION, source_id=f"c{number}".ljust(id_length, "_"), title=f"{number} {title}")
        for number in range(count)
    ]


def test_several_actions_are_a_numbered_list() -> None:
    texts = texts_for_all(several(2, 2), TEXTS, PORTAL, TICKET)
    assert texts == TicketTexts(
        "2 recommendations: 0 Turn on Safe Attachments; 1 Turn on Safe Attachments",
        "2 recommendations, 15 points to gain\n\n"
        "1. 0 Turn on Safe Attachments: 7.5 points to gain (0.5 of 8), Microsoft Defender for Office 365\n"
        f"   {LINK}c0\n   1. Open the page.\n   2. Turn it on.\n\n"
        "2. 1 Turn on Safe Attachments: 7.5 points to gain (0.5 of 8), Microsoft Defender for Office 365\n"
        f"   {LINK}c1\n   1. Open the page.\n   2. Turn it on.",
        is_shortened=False,
    )


@pytest.mark.parametrize(
    ("count", "id_length", "title", "style"),
    [
        (2, 20, "Turn it on", 0),
        (15, 20, "Turn it on", 1),
        (23, 20, "Turn it on", 2),
        (12, 20, "long title " * 15, 3),
        (20, 20, "long title " * 15, 4),
        (MOST_REFERENCES, 40, "long title " * 15, 5),
        (MOST_REFERENCES, 75, "long title " * 15, 6),
    ],
)
def test_several_actions_are_shortened_by_the_rule(count: int, id_length: int, title: str, style: int) -> None:
    actions = several(count, id_length, title)
    texts = texts_for_all(actions, of_length(1400) if style else TEXTS, PORTAL, TICKET)
    used = STYLES[style]
    assert texts.is_shortened == bool(style)
    assert ("(Shortened" in texts.description) == bool(style)
    assert ("Open the page" in texts.description) == used.has_steps
    assert ("Microsoft Defender" in texts.description) == used.has_product
    assert (LINK in texts.description) == used.has_links
    assert (f"{title}"[:8] in texts.description) == bool(used.title_length)
    for action in actions:
        assert action.source_id in texts.description
    assert utf16_length(in_record(texts)) <= DESCRIPTION_MAX_LENGTH
    assert utf16_length(texts.name) <= NAME_MAX_LENGTH


def test_actions_that_do_not_fit_are_counted() -> None:
    texts = texts_for_all(several(MOST_REFERENCES, 200), TEXTS, PORTAL, TICKET)
    shown = sum(action.source_id in texts.description for action in several(MOST_REFERENCES, 200))
    assert 10 < shown < MOST_REFERENCES
    assert f"… and {MOST_REFERENCES - shown} more" in texts.description
    assert utf16_length(in_record(texts)) <= DESCRIPTION_MAX_LENGTH


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(some.words, st.text("ab_.#/ é😀", min_size=1, max_size=60)), min_size=1, max_size=MOST_REFERENCES
    ),
    st.integers(0, 6000),
)
def test_every_text_fits_and_names_every_action(named: list[tuple[str, str]], length: int) -> None:
    actions = [replace(ACTION, title=title, source_id=source_id) for title, source_id in named]
    texts = of_length(length)
    for found in (texts_for_all(actions, texts, PORTAL, TICKET), texts_for_one(actions[0], texts, PORTAL, TICKET)):
        assert utf16_length(in_record(found)) <= DESCRIPTION_MAX_LENGTH
        assert 0 < utf16_length(found.name) <= NAME_MAX_LENGTH or not actions[0].source_id.strip()
        assert found.is_shortened == ("(Shortened" in found.description)


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("Identity", RecommendationCategory.IDENTITY),
        (" device", RecommendationCategory.DEVICES),
        ("Account", RecommendationCategory.IDENTITY),
        ("Infrastructure", RecommendationCategory.INFRASTRUCTURE),
        ("Data", RecommendationCategory.DATA),
        ("Something new", RecommendationCategory.APPS),
        ("", RecommendationCategory.APPS),
    ],
)
def test_a_ticket_has_a_category(category: str, expected: RecommendationCategory) -> None:
    assert ticket_category(replace(ACTION, category=category)) == expected
    of_workbook = replace(ACTION, source=SourceName.COMPLIANCE_MANAGER, category="Protect information")
    assert ticket_category(of_workbook) == RecommendationCategory.DATA
