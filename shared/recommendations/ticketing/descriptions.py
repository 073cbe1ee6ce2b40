"""What a recommendation's ticket says: its name and its description.

Our own words are in the ticket's language, like the block that the connector writes before a description
(:mod:`shared.tickets.record_texts`); titles and steps are Microsoft's.
Block and description have to fit into ServiceNow's column together, so a description is shortened, and says so:

- Of one action, first the effect on users is left out, then the steps are cut. Points, id and link are always there.
- Of several, :data:`STYLES` are tried in turn.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from shared.recommendations.model import ImprovementAction, SourceName
from shared.recommendations.portal_links import action_link
from shared.recommendations.products import product_name
from shared.recommendations.statuses import points_to_gain
from shared.recommendations.texts.https_links import https_link
from shared.recommendations.texts.plain_texts import plain_text, shortened
from shared.texts import one_line
from shared.tickets.model import DESCRIPTION_MAX_LENGTH, NAME_MAX_LENGTH, RecommendationCategory, TicketContent
from shared.tickets.record_texts import description_overflow
from shared.value_object import value_object
from shared.words.language import Language, language_of, languages

_CATEGORIES: Final = {
    "apps": RecommendationCategory.APPS,
    "data": RecommendationCategory.DATA,
    "device": RecommendationCategory.DEVICES,
    "identity": RecommendationCategory.IDENTITY,
    "account": RecommendationCategory.IDENTITY,
    "infrastructure": RecommendationCategory.INFRASTRUCTURE,
}


@value_object
class TicketTexts:
    """What a ticket says.

    Attributes:
        is_shortened: The description leaves something out, and says so.
    """

    name: str
    description: str
    is_shortened: bool


@value_object
class Style:
    """How much a description says about each of several actions.

    Attributes:
        title_length: How long a title may be; 0 leaves it out.
        has_links: Whether it has a link; it has the id otherwise.
    """

    has_steps: bool
    has_product: bool
    title_length: int
    has_links: bool


STYLES: Final = (
    Style(has_steps=True, has_product=True, title_length=NAME_MAX_LENGTH, has_links=True),
    Style(has_steps=False, has_product=True, title_length=NAME_MAX_LENGTH, has_links=True),
    Style(has_steps=False, has_product=False, title_length=NAME_MAX_LENGTH, has_links=True),
    Style(has_steps=False, has_product=False, title_length=60, has_links=True),
    Style(has_steps=False, has_product=False, title_length=30, has_links=True),
    Style(has_steps=False, has_product=False, title_length=30, has_links=False),
    Style(has_steps=False, has_product=False, title_length=0, has_links=False),
)
"""From the most to the least; the first one that fits is used."""


def link_of(action: ImprovementAction, portal: str) -> str | None:
    """Return where a person can see the action; None if nobody knows.

    Args:
        portal: The Defender portal's base address, such as ``https://security.microsoft.com``.
    """
    return action_link(portal, action.source_id) if _is_in_defender(action) else https_link(action.link)


def is_shortened(description: str) -> bool:
    """Whether a description says that it leaves something out."""
    return description.endswith(tuple(t.plain("record.shortened") for t in languages().values()))


def ticket_category(action: ImprovementAction) -> RecommendationCategory:
    """Return the ticket's category; Microsoft's categories are an open set, most actions are about apps."""
    is_compliance = action.source is SourceName.COMPLIANCE_MANAGER
    fallback = RecommendationCategory.DATA if is_compliance else RecommendationCategory.APPS
    return _CATEGORIES.get(action.category.strip().casefold(), fallback)


def texts_for_one(
    action: ImprovementAction, texts: Mapping[str, str], portal: str, ticket: TicketContent, *, intro: str = ""
) -> TicketTexts:
    """Return the texts of a ticket for one action.

    Args:
        texts: Raw HTML by hash.
        portal: See :func:`link_of`.
        ticket: What else the ticket says; its own name and description do not count.
        intro: What the description begins with.
    """
    t = language_of(ticket.language)
    name = shortened(action.shown_title, NAME_MAX_LENGTH)
    steps, impact = _plain(action.texts.remediation, texts), _plain(action.texts.impact, texts)
    particulars = "\n".join(
        filter(None, (_points(action, t, with_product=True), _id(action, t), link_of(action, portal)))
    )

    def description(steps: str, impact: str, note: str = "") -> str:
        return _paragraphs(
            intro,
            action.shown_title if action.shown_title != name else "",
            steps and f"{t.plain('record.steps')}\n{steps}",
            impact and f"{t.plain('record.impact')}\n{impact}",
            particulars,
            note,
        )

    whole = description(steps, impact)
    if _fits(ticket, whole):
        return TicketTexts(name, whole, is_shortened=False)
    note = t.plain("record.shortened")
    cut = _longest(steps, lambda part: _fits(ticket, description(part, "", note)))
    return TicketTexts(name, description(cut, "", note), is_shortened=True)


def texts_for_all(
    actions: Sequence[ImprovementAction],
    texts: Mapping[str, str],
    portal: str,
    ticket: TicketContent,
    *,
    intro: str = "",
) -> TicketTexts:
    """Return the texts of one ticket for several actions, at most :data:`shared.tickets.model.MOST_REFERENCES`.

    See :func:`texts_for_one` for the arguments.
    """
    t = language_of(ticket.language)
    count = len(actions)
    titles = t.plain("record.separator").join(action.shown_title for action in actions)
    name = shortened(t.plain("record.several.name", count=count, titles=titles), NAME_MAX_LENGTH)
    gain = sum(filter(None, map(points_to_gain, actions)), Decimal(0))
    head = t.plain("record.several.gain", count=count, points=_number(gain))

    def description(style: Style, entries: Sequence[str]) -> str:
        gap = "\n\n" if style.has_steps else "\n"
        note = "" if style is STYLES[0] else t.plain("record.shortened")
        left_out = count - len(entries)
        more = t.plain("record.several.more", count=left_out) if left_out else ""
        return _paragraphs(intro, head, gap.join(entries), more, note)

    for style in STYLES:
        entries = [_entry(number, each, texts, portal, style, t) for number, each in enumerate(actions, 1)]
        text = description(style, entries)
        if _fits(ticket, text):
            return TicketTexts(name, text, is_shortened=style is not STYLES[0])
    kept = _most(count, lambda most: _fits(ticket, description(style, entries[:most])))
    return TicketTexts(name, description(style, entries[:kept]), is_shortened=True)


def _entry(
    number: int, action: ImprovementAction, texts: Mapping[str, str], portal: str, style: Style, t: Language
) -> str:
    """Return the lines about one of several actions; a link to the action itself contains its id."""
    has_link = style.has_links and _is_in_defender(action)
    points = _points(action, t, with_product=style.has_product)
    title = shortened(action.shown_title, style.title_length) if style.title_length else ""
    lines = [
        f"{number}. {t.plain('record.line', label=title, value=points) if title else points}",
        action_link(portal, action.source_id) if has_link else _id(action, t),
        *(_plain(action.texts.remediation, texts).splitlines() if style.has_steps else ()),
    ]
    return "\n   ".join(lines)


def _is_in_defender(action: ImprovementAction) -> bool:
    """Whether the Defender portal has a page for it."""
    return action.source is SourceName.SECURE_SCORE and not action.is_of_file


def _id(action: ImprovementAction, t: Language) -> str:
    return t.plain("record.line", label=t.plain("record.id"), value=one_line(action.source_id))


def _points(action: ImprovementAction, t: Language, *, with_product: bool) -> str:
    """Return the points to gain and, if wanted, the product that gives them."""
    missing = points_to_gain(action)
    if action.points is None or action.max_points is None or missing is None:
        points = t.plain("record.points_unknown")
    else:
        figures = {"gain": _number(missing), "points": _number(action.points), "max": _number(action.max_points)}
        points = t.plain("record.points", **figures)
    product = one_line(product_name(action.service)) if with_product else ""
    return t.plain("record.points.product", points=points, product=product) if product else points


def _number(figure: Decimal) -> str:
    return f"{figure.normalize():f}"


def _plain(key: str | None, texts: Mapping[str, str]) -> str:
    return plain_text(texts.get(key, "")) if key is not None else ""


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))


def _fits(ticket: TicketContent, description: str) -> bool:
    """Whether ServiceNow's column has room for the description and the block before it."""
    return description_overflow(replace(ticket, description=description)) == 0


def _longest(text: str, fits: Callable[[str], bool]) -> str:
    """Return the longest beginning of a text that fits; one that was cut ends with an ellipsis."""
    if fits(text):
        return text
    length = _most(DESCRIPTION_MAX_LENGTH, lambda most: fits(shortened(text, most)))
    return shortened(text, length) if length else ""


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """Return the greatest number up to a limit that fits; 0 if none does."""
    return bisect_left(range(1, limit + 1), True, key=lambda number: not fits(number))
