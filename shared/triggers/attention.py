"""What a caller may see of the list *Needs attention*, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from shared.attention.board import AttentionBoard, Surroundings
from shared.attention.model import AttentionItem, Audience
from shared.triggers.principal import ANY_ROLE, MANAGERS, READERS, Principal, Role
from shared.value_object import value_object
from shared.words.bidirectional import Words
from shared.words.error_words import words_of
from shared.words.language import Language
from shared.words.sentences import sentences

ROLES: Final[Mapping[Audience, frozenset[Role]]] = {
    Audience.EVERYBODY: ANY_ROLE,
    Audience.READERS: READERS,
    Audience.MANAGERS: MANAGERS,
}


@value_object
class ShownItem:
    """An item as a page shows it.

    Attributes:
        text: What it is, in one sentence or a few.
        button: The button's words; None if the person may not press it.
    """

    item: AttentionItem
    text: str
    button: str | None


def visible_items(items: Iterable[AttentionItem], caller: Principal) -> Sequence[AttentionItem]:
    """Return what the caller may see, in the same order."""
    return [each for each in items if caller.has_any(ROLES[each.seen_by])]


def may_act(item: AttentionItem, caller: Principal) -> bool:
    """Whether the caller may press the item's button."""
    return caller.has_any(ROLES[item.done_by])


def shown_items(items: Iterable[AttentionItem], caller: Principal, t: Language) -> Sequence[ShownItem]:
    """Return what the caller may see, in words."""
    return [
        ShownItem(each, item_words(each, t), t(f"attention.action.{each.action}") if may_act(each, caller) else None)
        for each in visible_items(items, caller)
    ]


def item_words(item: AttentionItem, t: Language) -> Words:
    """Return what an item is about, in words."""
    key, number = f"attention.what.{item.cause}", item.values.get("count", item.values.get("days"))
    parts: list[str] = [t(f"{key}.one" if number == 1 else key, **item.values)]
    if item.failure is not None:
        parts.append(words_of(item.failure, t).message)
    if "holder" in item.values:
        parts.append(t("attention.second_factor", holder=item.values["holder"]))
    return sentences(*parts)


async def exact_items(board: AttentionBoard, around: Surroundings, caller: Principal) -> Sequence[AttentionItem]:
    """Return what needs attention; the tickets are read for callers who may see them. Raises StorageUnavailable."""
    asked = around.asked_connections if caller.has_any(READERS) else ()
    return await board.items(around, await board.tickets.list_current([each.connection_id for each in asked]))


async def attention_count(board: AttentionBoard, caller: Principal) -> int | None:
    """Return how many items the caller may see, as remembered for the navigation; None if nobody knows."""
    items = await board.remembered_items()
    return None if items is None else len(visible_items(items, caller))
