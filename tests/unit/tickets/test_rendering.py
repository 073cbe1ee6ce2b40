from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.connections.model import Portal, TicketKind
from shared.tickets.model import (
    Priority,
    Recommendation,
    RecommendationCategory,
    RecommendationSource,
    Requester,
    TicketContent,
)
from shared.tickets.rendering import BLOCK_TITLE, description_overflow, description_with_block


def content(
    description: str = "Turn it on.",
    requester: Requester = Requester("object-id", "Ada Lovelace", "ada@contoso.com"),  # noqa: B008 - immutable
    recommendation_id: str | None = "scid-2001",
    link: str | None = "https://security.microsoft.com/securescore?a=b",
) -> TicketContent:
    return TicketContent(
        kind=TicketKind.INCIDENT,
        portal=Portal.COMPLIANCE,
        name="Require MFA",
        description=description,
        priority=Priority.HIGH,
        due_at=None,
        recommendation=Recommendation(
            RecommendationSource.MICROSOFT, RecommendationCategory.IDENTITY, recommendation_id, link
        ),
        requester=requester,
    )


def test_everything() -> None:
    assert description_with_block(content()) == (
        "Turn it on.\n"
        "\n"
        "-- Microsoft 365 recommendation --\n"
        "Requested by: Ada Lovelace <ada@contoso.com>\n"
        "User id: object-id\n"
        "Portal: compliance\n"
        "Source: microsoft\n"
        "Category: identity\n"
        "Recommendation: scid-2001\n"
        "Link: https://security.microsoft.com/securescore?a=b"
    )


def test_only_what_is_known() -> None:
    bare = content("", Requester("object-id", "Ada Lovelace", None), None, None)
    assert description_with_block(bare) == (
        "-- Microsoft 365 recommendation --\n"
        "Requested by: Ada Lovelace\n"
        "User id: object-id\n"
        "Portal: compliance\n"
        "Source: microsoft\n"
        "Category: identity"
    )


@given(name=st.text(), recommendation_id=st.text())
def test_no_value_passes_for_another_line(name: str, recommendation_id: str) -> None:
    text = description_with_block(content("", Requester("object-id", name, None), recommendation_id))
    labels = [line.partition(": ")[0].removesuffix(":") for line in text.splitlines()]
    expected = [BLOCK_TITLE, "Requested by", "User id", "Portal", "Source", "Category"]
    assert labels == [*expected, *(["Recommendation"] if recommendation_id else []), "Link"]


@given(st.integers(0, 5000))
def test_overflow_is_what_has_to_go(length: int) -> None:
    overflow = description_overflow(content("x" * length))
    assert overflow >= 0
    if overflow:
        assert len(description_with_block(content("x" * length))) == 4000 + overflow
        assert description_overflow(content("x" * (length - overflow))) == 0
        assert description_overflow(content("x" * (length - overflow + 1))) == 1
