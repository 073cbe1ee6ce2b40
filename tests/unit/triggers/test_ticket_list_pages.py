"""The list of tickets: what its address asks for, and what a selection becomes."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, quote

import azure.functions as func
import pytest

from shared.connections.model import TicketKind
from shared.errors import Failure, FixRequest
from shared.tickets.identity import encode_cursor
from shared.tickets.listed import CurrentTickets
from shared.tickets.model import Delivery, Phase, Priority, Ticket
from shared.tickets.record_effects import delivered
from shared.tickets.requests import MAX_RETRIED
from shared.triggers.recommendation_list_pages import export_recommendations
from shared.triggers.ticket_filters import read_ticket_filter
from shared.triggers.ticket_list_pages import PAGE_TICKETS, export_selected_tickets, export_tickets, ticket_list_page
from shared.triggers.ticket_resend_pages import retry_selected_tickets, retry_tickets_page
from shared.web.csv_export import RECOMMENDATION_COLUMNS, headings
from shared.words.language import languages
from tests.memory.clock import START
from tests.memory.servicenow import WriteFault
from tests.unit.recommendations.strategies import TENANT
from tests.unit.tickets.examples import INSTANCE, a_connection, new_ticket, record_for
from tests.unit.tickets.test_counted import verified
from tests.unit.triggers.page_calls import MANAGER, READER, Pages, pages, text_of

__all__ = ["pages"]

t = languages()["en"]


def a_ticket(place: int, **asked: Any) -> Ticket:
    """A ticket that is delivered and open; a higher place is older."""
    ticket = new_ticket(START - timedelta(minutes=place), ticket_id=f"{place:032x}", **asked)
    return delivered(ticket, record_for(ticket, number=f"INC{place:07}"), ticket.created_at)


def a_failed_ticket(place: int, **asked: Any) -> Ticket:
    ticket = new_ticket(START - timedelta(minutes=place), ticket_id=f"{place:032x}", **asked)
    failure = Failure("business_rule_refused", {}, "")
    return replace(ticket, delivery=replace(ticket.delivery, status=Delivery.FAILED, failure=failure, error_status=422))


async def stored(pages: Pages, *tickets: Ticket) -> None:
    for ticket in tickets:
        await pages.world.store.create_ticket(ticket)


async def shown(pages: Pages, query: str = "", **options: object) -> str:
    answer = await pages.get(ticket_list_page, f"/tickets{query}", **options)  # type: ignore[arg-type]
    assert answer.status_code == 200, text_of(answer)
    return unescape(text_of(answer))


def ids_in(html: str) -> list[int]:
    """Return the places of the tickets whose names link to them."""
    return [int(each, 16) for each in re.findall(r'<td class="name"[^>]*><a href="/tickets/([0-9a-f]{32})', html)]


def count_of(html: str, name: str) -> str | None:
    found = re.search(rf">{re.escape(name)} <span class=\"count[^>]*>(\d+)<", html)
    return None if found is None else found[1]


async def test_every_ticket_is_on_exactly_one_page(pages: Pages) -> None:
    total = 2 * PAGE_TICKETS + 1
    await stored(pages, *map(a_ticket, range(total)))
    first = await shown(pages)
    assert t("tickets.range", total=total, first=1, last=PAGE_TICKETS) in first
    assert t("tickets.page_number", number=3) in first
    found = [ids_in(await shown(pages, f"?page={number}")) for number in (1, 2, 3)]
    assert [place for page in found for place in page] == list(range(total))
    assert ids_in(await shown(pages, "?page=9")) == found[2]


async def test_an_address_of_an_earlier_release_shows_the_page_that_it_meant(pages: Pages) -> None:
    await stored(pages, *map(a_ticket, range(PAGE_TICKETS + 1)))
    cursor = encode_cursor(f"{PAGE_TICKETS - 1:032x}")
    assert ids_in(await shown(pages, f"?cursor={cursor}")) == [PAGE_TICKETS]
    assert (await pages.get(ticket_list_page, "/tickets?cursor=x")).status_code == 400


async def test_a_heading_sorts_and_sorts_the_other_way_round_and_keeps_the_filters(pages: Pages) -> None:
    await stored(pages, a_ticket(1, name="beta"), a_ticket(2, name="Alpha"), a_ticket(3, name="gamma"))
    html = await shown(pages, "?show=open&page=1")
    [address] = re.findall(r'<a href="(/tickets\?[^"]*sort=name[^"]*)"', html)
    assert address == "/tickets?show=open&sort=name&order=ascending"
    html = await shown(pages, address.removeprefix("/tickets"))
    assert ids_in(html) == [2, 1, 3]
    assert '<th scope="col" aria-sort="ascending">' in html
    [address] = re.findall(r'<a href="(/tickets\?[^"]*sort=name[^"]*)" class="ascending"', html)
    assert ids_in(await shown(pages, address.removeprefix("/tickets"))) == [3, 1, 2]


async def test_every_part_of_the_list_says_how_many_tickets_it_has(pages: Pages) -> None:
    late = START - timedelta(days=1)
    closed = replace(a_ticket(4), phase=Phase.CLOSED)
    await stored(pages, a_ticket(1, due_at=late), a_ticket(2), a_failed_ticket(3, kind=TicketKind.CHANGE), closed)
    html = await shown(pages, "?show=overdue")
    assert ids_in(html) == [1]
    counts = {name: count_of(html, t(f"filter.show.{name}")) for name in ("open", "overdue", "not_delivered", "all")}
    assert counts == {"open": "2", "overdue": "1", "not_delivered": "1", "all": "4"}
    assert count_of(await shown(pages, "?show=open&kind=change"), t("filter.show.all")) == "1"
    # Finished tickets that match a text are not read for a part of the list that cannot have them.
    assert count_of(await shown(pages, "?show=open&text=multi"), t("filter.show.all")) is None
    assert count_of(await shown(pages, "?text=multi"), t("filter.show.all")) == "4"
    assert ids_in(await shown(pages)) == [1, 2, 3, 4], "an address without parameters means all tickets"


async def test_only_the_whole_list_reads_finished_tickets(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(connection_ids: object) -> None:
        raise AssertionError("finished tickets are read")

    await stored(pages, a_ticket(1, name="open"))
    monkeypatch.setattr(pages.world.store, "list_every", refuse)
    for query in ("?show=open", "?show=mine&text=open", "?phase=new"):
        assert ids_in(await shown(pages, query)) == [1]
    with pytest.raises(AssertionError, match="finished"):
        await shown(pages, "?kind=incident")


async def test_a_chip_leads_to_the_list_without_its_filter(pages: Pages) -> None:
    await stored(pages, a_ticket(1, priority=Priority.LOW), a_ticket(2, name="a&b", priority=Priority.HIGH))
    html = await shown(pages, "?show=open&text=a%26b&priority=high&sort=name&page=1")
    chips = re.findall(r'<li><a href="([^"]*)"><span class="hidden-text">', html)
    assert chips == ["/tickets?show=open&priority=high&sort=name", "/tickets?text=a%26b&show=open&sort=name"]
    assert f'<a class="clear" href="/tickets?show=open">{t("tickets.clear_filters")}' in html
    assert ids_in(html) == [2]


async def test_a_part_of_the_list_without_a_tab_is_cleared_like_any_filter(pages: Pages) -> None:
    html = await shown(pages, "?show=failed&priority=high")
    assert f'<a class="clear" href="/tickets">{t("tickets.clear_filters")}' in html


async def test_a_name_leads_to_the_ticket_and_back_to_the_list_and_a_number_to_servicenow(pages: Pages) -> None:
    await stored(pages, a_ticket(1))
    html = await shown(pages, "?show=open&text=multi&sort=due")
    back = quote("/tickets?text=multi&show=open&sort=due", safe="")
    assert f'<a href="/tickets/{1:032x}?from={back}">' in html
    assert f'<a href="{INSTANCE}/nav_to.do?uri=' in html


async def test_with_several_customers_the_list_says_whose_a_ticket_is(pages: Pages) -> None:
    assert f'data-label="{t("ticket_column.customer")}"' not in await shown(pages)
    await stored(pages, a_ticket(1), a_ticket(2, connection_id="fabrikam"))
    await pages.world.connections.create_connection(
        a_connection(connection_id="fabrikam", display_name="Adatum", instance="https://adatum.service-now.com")
    )
    html = await shown(pages, "?sort=customer")
    assert re.search(r'<td[^>]* title="Contoso"><span>Contoso', html), "the tenant whose tickets go there"
    assert ids_in(html) == [2, 1]
    assert ids_in(await shown(pages, "?connection=fabrikam")) == [2]


async def test_while_tickets_are_collected_the_list_says_how_many_there_are(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored(pages, a_ticket(1), replace(a_ticket(2), phase=Phase.CLOSED))
    [present] = await pages.world.store.list_current([a_connection().connection_id])

    async def incomplete(connection_ids: object) -> list[CurrentTickets]:
        return [replace(present, is_complete=False)]

    words = t("tickets.incomplete", total=2, open=1)
    assert words not in await shown(pages, "?show=open")
    monkeypatch.setattr(pages.world.store, "list_current", incomplete)
    assert words in await shown(pages, "?show=open")


async def sent_again(pages: Pages, *selected: object, **fields: str) -> func.HttpResponse:
    form = [*(("ticket", str(each)) for each in selected), *fields.items()]
    answer = await pages.post(retry_selected_tickets, "/tickets/retry-selected", form)
    assert answer.status_code == 303
    return answer


async def test_only_the_failed_ones_of_a_selection_are_sent_again(pages: Pages) -> None:
    await stored(pages, a_ticket(1), a_failed_ticket(2), a_failed_ticket(3))
    ids = [f"{1:032x}", f"{2:032x}", "nothing", f"{9:032x}"]
    answer = await sent_again(pages, *ids, show="open", sort="due", page="2")
    assert without_name(answer) == "/tickets?show=open&sort=due&page=2&done="
    statuses = [each.delivery.status for each in sorted(pages.world.tickets, key=lambda each: each.ticket_id)]
    assert statuses == [Delivery.DELIVERED, Delivery.DELIVERED, Delivery.FAILED]
    html = await shown_after(pages, answer)
    assert t("tickets.retried.delivered", count=1) in html
    assert t("tickets.retried.not_failed", count=1) in html


def cookie_of(answer: func.HttpResponse) -> str:
    """Return what a browser sends of the cookie that an answer sets."""
    cookie, _, attributes = answer.headers["Set-Cookie"].partition(";")
    assert cookie.startswith("__Host-")
    assert "HttpOnly" in attributes
    return str(cookie)


def without_name(answer: func.HttpResponse) -> str:
    """Return the address that an answer leads to, without the random name of what the browser keeps."""
    return re.sub(r"(?<=\bdone=)[0-9a-f]{16}$", "", answer.headers["Location"])


async def shown_after(pages: Pages, answer: func.HttpResponse) -> str:
    """Return the list as a browser shows it that follows an answer."""
    return await shown(pages, answer.headers["Location"].removeprefix("/tickets"), cookie=cookie_of(answer))


async def test_what_was_sent_is_shown_only_on_the_list_that_it_was_sent_from(pages: Pages) -> None:
    await stored(pages, a_failed_ticket(1), a_failed_ticket(2))
    first, second = await sent_again(pages, f"{1:032x}"), await sent_again(pages, f"{2:032x}")
    words = t("tickets.retried.delivered", count=1)
    assert words in await shown_after(pages, second)
    assert words in await shown_after(pages, second), "also after a reload"
    _, name = first.headers["Location"].split("?")
    for query in (f"?{name}", "?done=retried", "?done=", "", f"?done={'0' * 16}"):
        assert 'class="banner' not in await shown(pages, query, cookie=cookie_of(second))


@pytest.mark.parametrize("count", ["²", "٣", "-1", "1e3", "9" * 6, ""])
async def test_a_count_is_a_number_that_can_be_true(pages: Pages, count: str) -> None:
    html = await shown(pages, "?done=name", cookie=f"__Host-tickets-sent=name~delivered.{count}~refused.1")
    assert t("tickets.retried.refused", count=1) in html
    assert t("tickets.retried.delivered", count=count) not in html


async def test_an_address_alone_claims_nothing_about_what_was_sent(pages: Pages) -> None:
    await stored(pages, a_ticket(1))
    assert 'class="banner' not in await shown(pages, "?done=retried")
    answer = await pages.get(ticket_list_page, "/tickets?done=retried&delivered=7")
    assert answer.status_code == 400


async def test_why_most_of_the_others_were_not_sent_is_said(pages: Pages) -> None:
    await stored(pages, a_failed_ticket(1))
    pages.world.servicenow.write_faults.append(WriteFault.VALUES_REFUSED)
    answer = await sent_again(pages, f"{1:032x}")
    html = await shown_after(pages, answer)
    assert t("tickets.retried.refused", count=1) in html
    assert t("error.data_policy_refused.message") in html


async def test_without_a_selection_nothing_is_done_and_the_list_says_so(pages: Pages) -> None:
    await stored(pages, a_failed_ticket(1))
    assert (await sent_again(pages, show="failed")).headers["Location"] == "/tickets?show=failed&done=nothing_selected"
    assert pages.world.tickets[0].delivery.status is Delivery.FAILED
    answer = await pages.post(export_selected_tickets, "/tickets/export-selected", [])
    assert answer.headers["Location"] == "/tickets?done=nothing_selected"
    assert t("tickets.nothing_selected") in await shown(pages, "?done=nothing_selected")


async def test_a_selection_has_a_limit(pages: Pages) -> None:
    with pytest.raises(FixRequest) as refused:
        await sent_again(pages, *(f"{place:032x}" for place in range(MAX_RETRIED + 1)))
    assert (refused.value.code, refused.value.values["limit"]) == ("invalid_parameter", MAX_RETRIED)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


async def test_a_selection_is_exported_in_the_order_of_the_list(pages: Pages) -> None:
    await stored(pages, *map(a_ticket, range(3)))
    form = [("ticket", f"{2:032x}"), ("ticket", f"{0:032x}"), ("sort", "number")]
    answer = await pages.post(export_selected_tickets, "/tickets/export-selected", form, caller=READER)
    assert [each["number"] for each in rows_of(answer.get_body())] == ["INC0000002", "INC0000000"]


async def test_the_file_has_the_whole_list_in_its_order(pages: Pages) -> None:
    await stored(pages, *map(a_ticket, range(PAGE_TICKETS + 1)), a_failed_ticket(99))
    answer = await pages.get(export_tickets, "/tickets.csv?show=open&sort=number&order=descending")
    rows = rows_of(answer.get_body())
    assert [each["number"] for each in rows] == [f"INC{place:07}" for place in reversed(range(PAGE_TICKETS + 1))]
    assert {each["connection"] for each in rows} == {"Contoso"}
    with pytest.raises(FixRequest):
        await pages.get(export_tickets, "/tickets.csv?show=everything")


async def test_a_file_about_one_connection_has_headings_in_its_language(pages: Pages) -> None:
    pages.world.connections.connections["contoso"] = a_connection(language="ja")
    await stored(pages, a_ticket(1))
    for query, heading in (("", "number"), ("?connection=contoso", "番号")):
        answer = await pages.get(export_tickets, f"/tickets.csv{query}")
        assert [each[heading] for each in rows_of(answer.get_body())] == ["INC0000001"]


async def test_so_has_the_file_about_the_recommendations_of_its_tenant(pages: Pages) -> None:
    for code in ("en", "ja"):
        pages.world.connections.connections["contoso"] = a_connection(language=code)
        answer = await pages.get(export_recommendations, f"/recommendations.csv?tenant_id={TENANT}")
        first = answer.get_body().decode("utf-8-sig").splitlines()[0]
        assert first == ",".join(headings(RECOMMENDATION_COLUMNS, languages()[code]))


async def test_one_button_sends_the_failed_tickets_of_the_list_again(pages: Pages) -> None:
    await stored(pages, a_failed_ticket(1, name="one"), a_failed_ticket(2, name="two"), a_ticket(3))
    for show in ("failed", "not_delivered"):
        assert t("action.retry_all.one") in await shown(pages, f"?show={show}&text=one")
    assert t("action.retry_all", count=2) not in await shown(pages)
    assert t("action.retry_all", count=2) not in await shown(pages, "?show=failed", caller=READER)
    answer = await pages.post(retry_tickets_page, "/tickets/retry", [("text", "one"), ("show", "not_delivered")])
    assert without_name(answer) == "/tickets?text=one&show=not_delivered&done="
    assert t("tickets.retried.delivered", count=1) in await shown_after(pages, answer)
    answer = await pages.post(retry_tickets_page, "/tickets/retry", [("connection", "contoso")], caller=MANAGER)
    assert without_name(answer) == "/tickets?show=failed&connection=contoso&done="


async def test_the_list_says_how_fresh_it_is(pages: Pages) -> None:
    html = await shown(pages, "?show=open")
    assert t("freshness.never") in html
    assert '<input type="hidden" name="connection" value="contoso">' in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("opened_from=2026-03-02", [1, 3]),
        ("opened_from=2026-03-01&opened_to=2026-03-01", [2]),
        ("closed_from=2026-03-02", [3]),
        ("closed_to=2026-03-01", []),
        ("age_from=1", [2, 4]),
        ("age_to=0", [1, 3]),
        ("proof_days_from=0", [3]),
        ("proof_days_from=3&proof_days_to=9", []),
        ("show=not_overdue", [1]),
    ],
)
async def test_pages_and_scripts_filter_by_days(pages: Pages, query: str, found: list[int]) -> None:
    day = timedelta(days=1)
    done = a_ticket(3)
    done = replace(verified(done, START), phase=Phase.CLOSED)
    late = a_ticket(2, due_at=START - day)
    await stored(pages, a_ticket(1), replace(late, created_at=START - day), done)
    await stored(pages, replace(a_failed_ticket(4), created_at=START - day))
    html = await shown(pages, f"?{query}")
    assert ids_in(html) == found
    chips = re.findall(r'<li><a href="([^"]*)"><span class="hidden-text">', html)
    assert len(chips) == query.count("=")
    if "show" not in query:
        asked = dict(parse_qsl(query))
        assert all(f'name="{name}" value="{value}"' in html for name, value in asked.items()), "other filters keep it"
        tickets = await pages.world.store.list_tickets(["contoso"], read_ticket_filter(asked, START), limit=9)
        assert [int(each.ticket_id, 16) for each in tickets] == found


@pytest.mark.parametrize("query", ["opened_from=monday", "closed_to=2026-02-30", "age_from=-1", "proof_days_to=1.5"])
async def test_days_that_are_none_list_nothing(pages: Pages, query: str) -> None:
    answer = await pages.get(ticket_list_page, f"/tickets?{query}")
    assert answer.status_code == 400
    name, _, value = query.partition("=")
    assert t(f"filter.{name}") in text_of(answer)
    assert value in text_of(answer)
    with pytest.raises(FixRequest):
        read_ticket_filter({name: value}, START)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"priority": "high"}, [1]),
        ({"due_before": "2026-03-03"}, [2]),
        ({"due_before": "2026-03-02"}, []),
        ({"text": "000003"}, [3]),
        ({"text": "tanaka second"}, [2]),
    ],
)
async def test_scripts_filter_as_people_do(pages: Pages, query: dict[str, str], found: list[int]) -> None:
    due_at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    await stored(
        pages,
        a_ticket(1, priority=Priority.HIGH, name="first"),
        a_ticket(2, priority=Priority.LOW, name="second", due_at=due_at),
        a_ticket(3, priority=Priority.LOW, name="third"),
    )
    tickets = await pages.world.store.list_tickets(["contoso"], read_ticket_filter(query, START), limit=9)
    assert [int(each.ticket_id, 16) for each in tickets] == found


@pytest.mark.parametrize("column", ["assigned_to", "assignment_group"])
@pytest.mark.parametrize("show", ["", "open"])
async def test_whoever_has_chosen_a_name_can_choose_another_or_none(pages: Pages, column: str, show: str) -> None:
    for place, name in ((1, "Alex"), (2, "Mei"), (3, None)):
        ticket = a_ticket(place)
        assert ticket.record is not None
        named: dict[str, Any] = {column: name}
        await stored(pages, replace(ticket, record=replace(ticket.record, **named)))
    none = t(f"filter.{column}.none")
    for chosen, found, chip in (("Alex", 1, "Alex"), ("mei", 2, "mei"), ("none", 3, none), ("NONE", 3, none)):
        html = await shown(pages, f"?show={show}&{column}={chosen}")
        assert ids_in(html) == [found]
        options = html.partition(f'<select id="{column}"')[2].partition("</select>")[0]
        offered = [t("filter.any"), none, "Alex", "Mei"]
        assert [each.casefold() for each in re.findall(r">([^<]+)</option>", options)] == [
            each.casefold() for each in offered
        ]
        assert f'<option value="{chosen}" selected>' in options
        assert f"<strong>{chip}</strong>" in html


async def test_a_ticket_that_is_not_delivered_says_why_under_its_name(pages: Pages) -> None:
    await stored(pages, a_failed_ticket(1), a_ticket(2))
    html = await shown(pages)
    assert html.count(t("error.business_rule_refused.message")) == 1


@pytest.mark.parametrize(("show", "current"), [("not_delivered", "page"), ("failed", "true"), ("pending", "true")])
async def test_a_part_of_what_a_tab_holds_marks_the_tab(pages: Pages, show: str, current: str) -> None:
    await stored(pages, a_failed_ticket(1))
    html = await shown(pages, f"?show={show}")
    tabs = html.partition('class="tabs"')[2].partition("</nav>")[0]
    assert re.findall(r'aria-current="(\w+)">([^<]*) <', tabs) == [(current, t("filter.show.not_delivered"))]
