"""Filling in what a request leaves out, from the recommendations that its ticket is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from shared.connections.model import Portal
from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.requests import BatchRequest, RecommendedTicketRequest
from shared.recommendations.ticketing.descriptions import link_of, texts_for_all, texts_for_one, ticket_category
from shared.recommendations.ticketing.suggestions import STEPS, suggestion_for
from shared.texts import one_line
from shared.tickets.model import Recommendation, RecommendedBy, Requester, TicketContent
from shared.tickets.requests import TicketRequest

ID_MAX_LENGTH: Final = 200
"""A longer id is left out of the block in ServiceNow; the ticket itself knows it."""
LINK_MAX_LENGTH: Final = 1000
_UNNAMED: Final = "?"


def filled_in(
    asked: RecommendedTicketRequest | BatchRequest,
    actions: Sequence[ImprovementAction],
    texts: Mapping[str, str],
    requester: Requester,
    *,
    portal_url: str,
    now: datetime,
    language: str,
    intro: str = "",
) -> TicketRequest:
    """Return the request for one ticket about these actions.

    One ticket for several has the most urgent priority and the earliest due date of those suggested for each.

    Args:
        texts: Raw HTML by hash.
        portal_url: The Defender portal's base address.
        language: Code of the language in which the ticket is written: its connection's.
        intro: What the description begins with.
    """
    given = {
        name: value
        for name, value in asked.model_dump(mode="json", exclude_unset=True).items()
        if name in TicketRequest.model_fields and (value is not None or name == "due_date")
    }
    suggestions = [suggestion_for(action, now) for action in actions]
    suggested = {
        "portal": portal_of(actions),
        "priority": min((each.priority for each in suggestions), key=STEPS.index),
        "due_date": min(each.due_on for each in suggestions).isoformat(),
        "recommendation": recommendation_of(actions, portal_url),
        "name": _UNNAMED,
    }
    request = TicketRequest.model_validate(suggested | given)
    content = TicketContent(
        kind=request.kind,
        portal=request.portal,
        name=request.name,
        description="",
        priority=request.priority,
        due_at=None,
        recommendation=request.recommendation,
        requester=requester,
        language=language,
    )
    if len(actions) == 1:
        said = texts_for_one(actions[0], texts, portal_url, content, intro=intro)
    else:
        said = texts_for_all(actions, texts, portal_url, content, intro=intro)
    texts_of_ticket = {"name": _printable(said.name) or _UNNAMED, "description": _printable(said.description)}
    missing = {name: text for name, text in texts_of_ticket.items() if name not in given}
    return request.model_copy(update=missing)


def portal_of(actions: Sequence[ImprovementAction]) -> Portal:
    """Return the portal in which these actions are found: the compliance portal if all of them are there."""
    is_compliance = all(action.source is SourceName.COMPLIANCE_MANAGER for action in actions)
    return Portal.COMPLIANCE if is_compliance else Portal.SECURITY


def recommendation_of(actions: Sequence[ImprovementAction], portal_url: str) -> Recommendation:
    """Return what the block in ServiceNow says about the recommendation; of several, the first one's category."""
    category = ticket_category(actions[0])
    if len(actions) > 1:
        return Recommendation(RecommendedBy.MICROSOFT, category)
    source_id, link = one_line(actions[0].source_id), link_of(actions[0], portal_url)
    return Recommendation(
        RecommendedBy.MICROSOFT,
        category,
        id=source_id if 0 < len(source_id) <= ID_MAX_LENGTH else None,
        link=link if link is not None and len(link) <= LINK_MAX_LENGTH else None,
    )


def _printable(text: str) -> str:
    """Return a text without control characters and halves of surrogate pairs, which Microsoft may send."""
    whole = text.encode(errors="replace").decode()
    return "".join(character for character in whole if character >= " " or character in "\n\t")
