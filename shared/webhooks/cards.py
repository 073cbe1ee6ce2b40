"""Adaptive Cards for a Teams workflow. Pure.

Names of tickets are other people's words. So no text of a card is in an element that reads Markdown (Webhooks §T11):
all of it is in ``TextRun`` objects, where it has no meaning (Webhooks §T12). Links are those of our own pages.
"""

from __future__ import annotations

import json
from typing import Any, Final

from shared.reminders.model import Said, SaidLine

CARD_TYPE: Final = "application/vnd.microsoft.card.adaptive"
CARD_LIMIT: Final = 20_000
"""Bytes of a card, below the smallest limit that anybody was refused with (Webhooks §T8)."""
VERSION: Final = "1.4"

_WORD_JOINER: Final = "\u2060"

type Element = dict[str, Any]


def card_message(said: Said) -> bytes:
    """Return the body that a workflow expects (Webhooks §T1); tickets that do not fit are left out."""
    tickets = said.tickets
    while len(body := _body(said, tickets)) > CARD_LIMIT and tickets:
        tickets = tickets[:-1]
    return body


def _body(said: Said, tickets: tuple[SaidLine, ...]) -> bytes:
    attachment = {"contentType": CARD_TYPE, "contentUrl": None, "content": _card(said, tickets)}
    message = {"type": "message", "attachments": [attachment]}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _card(said: Said, tickets: tuple[SaidLine, ...]) -> Element:
    body = [_text(_run(said.title, size="Large", weight="Bolder"))]
    body += [_text(_linked(each)) for each in said.paragraphs]
    body += [_text(_run(f"{name}: "), _run(value, weight="Bolder")) for name, value in said.facts]
    if tickets:
        body.append(_text(_run(said.tickets_title, weight="Bolder")) | {"separator": True})
        body += [_text(_linked(each)) for each in tickets]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "lang": said.language,
        "fallbackText": plain(said.title),
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": plain(each.text), "url": each.address}
            for each in said.links
            if each.address is not None
        ],
    }


def _text(*runs: Element) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _linked(line: SaidLine) -> Element:
    run = _run(line.text)
    return run if line.address is None else run | {"selectAction": {"type": "Action.OpenUrl", "url": line.address}}


def _run(text: str, **form: str) -> Element:
    return {"type": "TextRun", "text": plain(text), **form}


def plain(text: str) -> str:
    """Return a text in which nothing means a mention or a date (Webhooks §T13, §T14)."""
    line = " ".join(text.split())
    return line.replace("<", f"<{_WORD_JOINER}").replace("{{", f"{{{_WORD_JOINER}{{")
