"""Pages: what needs attention, and the stored rows that cannot be read."""

from __future__ import annotations

import asyncio
from typing import Final

import azure.functions as func

from shared.tickets.lists import page_of
from shared.triggers.attention import exact_items, shown_items, visible_items
from shared.triggers.front_door import Call, page
from shared.triggers.links import PAGE_NUMBER, link_words, misunderstood
from shared.triggers.principal import ANY_ROLE, MANAGERS
from shared.triggers.service_api import unreadable_rows
from shared.web.freshness import freshness
from shared.web.lists import page_numbers

blueprint = func.Blueprint()

PAGE_ITEMS: Final = 100


@page(blueprint, "GET", "attention", roles=ANY_ROLE, kept=("page",))
async def attention_page(call: Call) -> func.HttpResponse:
    """Show one page of what only a person can put right, as far as the caller may see it."""
    asked = call.query.get("page") or "1"
    if not PAGE_NUMBER.fullmatch(asked):
        return call.page(
            "attention.html", status=400, not_understood=[link_words(misunderstood("page", asked), call.language)]
        )
    board = call.application.attention
    around = await board.surroundings()
    items = visible_items(await exact_items(board, around, call.principal), call.principal)
    shown = page_of(items, int(asked), PAGE_ITEMS)
    return call.page(
        "attention.html",
        not_understood=(),
        items=shown_items(shown.items, call.principal, call.language),
        shown=shown,
        page_numbers=page_numbers(shown.number, shown.pages),
        page_address=lambda number: f"/attention?page={number}" if number > 1 else "/attention",
        attention_count=len(items),
        freshness=freshness(around.counted, around.read_at, can_refresh=around.connections is not None),
        now=around.read_at,
    )


@page(blueprint, "GET", "attention/rows", roles=MANAGERS)
async def attention_rows_page(call: Call) -> func.HttpResponse:
    """Show where the stored rows are that this release left out, and what to do; nothing of what is in them."""
    app = call.application
    connections, hidden = await asyncio.gather(app.connection_store.list_connections(), app.sight.hidden())
    seen_ids = [each.connection_id for each in connections]
    return call.page("unreadable_rows.html", rows=unreadable_rows(app, seen_ids, is_limited=bool(hidden)))
