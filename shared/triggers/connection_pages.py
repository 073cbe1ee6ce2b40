"""Pages: the list of connections, and one connection: its status, the next step, and what leads on from there."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

import azure.functions as func

from shared.check.findings import Outcome
from shared.connections.customers import Customer
from shared.connections.lookup import get_known_connection, get_present_connection
from shared.connections.model import Connection, Grant
from shared.connections.remove import NOT_REVOKED
from shared.errors import ConnectorError, FixConfiguration, TryLater
from shared.portfolio.model import PortfolioRow, portfolio_of
from shared.portfolio.rules import SortColumn
from shared.tickets.lists import page_of
from shared.tickets.model import Delivery
from shared.triggers.addresses import authorize_path
from shared.triggers.freshness import freshness_of
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.links import link_words
from shared.triggers.portfolio_links import (
    FILTERS,
    PARAMETERS,
    read_portfolio_link,
    sort_choices,
    sort_headings,
    status_choices,
    used_filters,
)
from shared.triggers.principal import MANAGERS, Role
from shared.triggers.provisioning_pages import FROM, show_checklist
from shared.value_object import value_object
from shared.web.charts import Countdown, consent_countdown
from shared.web.checklist import PROVEN
from shared.web.connections import NextStep, next_step, problem_of, status_key
from shared.web.lists import page_numbers
from shared.web.servicenow_links import servicenow_links

blueprint = func.Blueprint()

PAGE_CONNECTIONS: Final = 50
SORTS: Final = (SortColumn.NAME, SortColumn.GROUP, SortColumn.STATUS, SortColumn.LAST_SYNC, SortColumn.CONSENT)
"""The columns that the list shows, in their order."""
FEW: Final = 5
"""With more connections than this, the list can be searched."""
NOTICES: Final = frozenset({"authorized", "account_saved", "synchronised", "sync_started"})


@value_object
class ConnectionRow:
    """A connection in the list.

    Attributes:
        last_sync_at: As the last turn knew it; None before the first synchronisation.
        consent: None if there is none, or none is needed.
        step: What a person does next about it.
    """

    connection_id: str
    customer: Customer
    last_sync_at: datetime | None
    consent: Countdown | None
    step: NextStep


@page(blueprint, "GET", "configuration", roles=MANAGERS, kept=PARAMETERS)
async def connections_page(call: Call) -> func.HttpResponse:
    """Show one page of the connections, each with its status and the next step about it."""
    app, t, now = call.application, call.language, call.application.clock()
    link = read_portfolio_link(call.query, "/configuration")
    if link.not_understood:
        words = [link_words(each, t) for each in link.not_understood]
        return call.page("connections.html", status=400, not_understood=words)
    present = (await app.customers.present()).listed
    portfolio = portfolio_of(present, ())
    shown = page_of(link.rows(portfolio, now, with_excluded=True), link.page, PAGE_CONNECTIONS)
    return call.page(
        "connections.html",
        not_understood=(),
        rows=[_row(each, now) for each in shown.items],
        shown=shown,
        chosen=link.chosen,
        has_connections=bool(present),
        can_search=len(present) > FEW or any(link.chosen[name] for name in FILTERS),
        groups=[(each, each) for each in portfolio.groups],
        statuses=status_choices(portfolio, t),
        chips=used_filters(link, t),
        sorts=sort_choices(SORTS if portfolio.groups else [each for each in SORTS if each is not SortColumn.GROUP], t),
        headings=sort_headings(link, t),
        page_numbers=page_numbers(shown.number, shown.pages),
        page_address=lambda number: link.address(page=str(number) if number > 1 else ""),
        now=now,
        may_create=call.may(Role.TICKETS_CREATE),
    )


@page(blueprint, "GET", "connections", roles=MANAGERS, kept=PARAMETERS)
async def connections_address(call: Call) -> func.HttpResponse:
    """Lead to the connections from the address at which a person would guess them."""
    return redirect(read_portfolio_link(call.query, "/configuration").address())


@page(blueprint, "GET", "configuration/{connection_id}", roles=MANAGERS)
async def connection_page(call: Call) -> func.HttpResponse:
    """Show a connection."""
    return await _show(call, await _present(call))


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/connect",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}",
)
async def connection_connect(call: Call) -> func.HttpResponse:
    """Connect with client credentials; a refusal is shown where the button was."""
    connection_id = (await _known(call)).connection_id
    try:
        await call.application.client_credentials.connect(connection_id, started_by=call.principal.object_id)
    except (FixConfiguration, TryLater) as error:
        connection = await _known(call)
        if call.form.get("from") == FROM:
            return await show_checklist(call, connection, refusal=error)
        return await _show(call, connection, refusal=error)
    return redirect(f"/configuration/{connection_id}?done=authorized")


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/sync",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}",
)
async def connection_sync(call: Call) -> func.HttpResponse:
    """Synchronise now."""
    connection = await _present(call)
    counts = await call.application.maintenance.work.sync_now(connection)
    done = "sync_started" if counts is None else "synchronised"
    return redirect(f"/configuration/{connection.connection_id}?done={done}")


@page(blueprint, "GET", "configuration/{connection_id}/remove", roles=MANAGERS)
async def connection_remove_form(call: Call) -> func.HttpResponse:
    """Ask whether to remove the connection, and say what is kept."""
    connection = await _present(call)
    return call.page("remove_connection.html", connection=connection)


@page(blueprint, "POST", "configuration/{connection_id}/remove", roles=MANAGERS)
async def connection_remove(call: Call) -> func.HttpResponse:
    """Remove the connection."""
    removed = await call.application.removal.remove((await _known(call)).connection_id)
    return redirect(f"/configuration/{removed.connection_id}/removed")


@page(blueprint, "GET", "configuration/{connection_id}/removed", roles=MANAGERS)
async def connection_removed_page(call: Call) -> func.HttpResponse:
    """Say that the connection was removed, and what could not be done."""
    connection = await _known(call)
    if not connection.is_removed:
        return redirect(f"/configuration/{connection.connection_id}")
    not_revoked = connection.last_error is not None and connection.last_error.code == NOT_REVOKED
    return call.page("connection_removed.html", connection=connection, not_revoked=not_revoked)


def _row(row: PortfolioRow, now: datetime) -> ConnectionRow:
    customer = row.customer
    return ConnectionRow(
        row.connection_id,
        customer,
        row.figures.last_sync_at,
        consent_countdown(customer, now),
        next_step(customer, now),
    )


async def _show(call: Call, connection: Connection, *, refusal: ConnectorError | None = None) -> func.HttpResponse:
    app, t, now = call.application, call.language, call.application.clock()
    done = call.query.get("done")
    notice = done if done in NOTICES else None
    sync_state, last_check, fresh = await asyncio.gather(
        app.turns.sync_state(connection),
        app.checks.store.get(connection.connection_id),
        freshness_of(call, [connection]),
    )
    error = connection.last_error
    return call.page(
        "connection.html",
        status=200 if refusal is None else refusal.status,
        connection=connection,
        freshness=fresh,
        now=now,
        notice=notice,
        waiting=await _waiting(call, connection) if notice == "authorized" else 0,
        refusal=None if refusal is None else problem_of(refusal, t),
        problem=None if error is None else problem_of(error.failure, t),
        links=servicenow_links(connection),
        says=status_key(connection).removeprefix("status."),
        step=next_step(connection, now),
        consent=consent_countdown(connection, now) if connection.grant is Grant.AUTHORIZATION_CODE else None,
        last_sync_at=sync_state.last_completed_at,
        last_check=last_check,
        is_checking=last_check is not None and last_check.is_running(now),
        check_counts=[] if last_check is None else [last_check.count(each) for each in Outcome],
        in_use=connection.status in PROVEN,
        may_create=call.may(Role.TICKETS_CREATE),
        authorize_path=authorize_path(connection.connection_id),
        log_out_path=authorize_path(connection.connection_id, log_out_first=True),
    )


async def _waiting(call: Call, connection: Connection) -> int:
    """Return how many tickets have waited for the connection to work."""
    [summary] = await call.application.summaries([connection.connection_id])
    return summary.total(Delivery.PENDING)


async def _known(call: Call) -> Connection:
    return await get_known_connection(call.application.connection_store, call.path_parameter("connection_id"))


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
