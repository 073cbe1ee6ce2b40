"""Customers that are limited: no route shows, counts, exports or changes anything of one to whoever may not see it."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sandbox.functions_host.authentication import MOST_GROUPS
from sandbox.world import table_service_headers
from shared.storage.tables import TABLE_NAMES
from shared.triggers.principal import Role
from shared.triggers.routes import ANY_METHOD, ROUTES, Route
from tests.fixtures.whole_app import TENANT, Connected, Program, WholeApp, refused
from tests.registered import functions

pytestmark = pytest.mark.usefixtures("calm")

GROUP = "0b1e6d3c-6a53-4f7e-9a7e-00000000b001"
REPORTER = "0b1e6d3c-6a53-4f7e-9a7e-0d6a3b1c2f05"
"""The sandbox's own program, whose token names no groups."""
TENANTS = {"hidden": "11111111-aaaa-4bbb-8ccc-0000000000a1", "open": "11111111-aaaa-4bbb-8ccc-0000000000a2"}
LIST = "Rank,Recommended action,Points achieved,Status,Product\n1,{name},0/8,To address,AzureAD\n"
CROWD = [f"0b1e6d3c-6a53-4f7e-9a7e-{number:012}" for number in range(MOST_GROUPS + 1)]
PEOPLE: Mapping[str, Sequence[str]] = {
    "friend": [*CROWD[: MOST_GROUPS - 1], GROUP],
    "stranger": [],
    "crowded": CROWD,
    "crowded_otherwise": CROWD,
}
SEEN_AT_LEAST = 20
"""How many routes show a customer to whoever may see it: the texts are where a leak would show."""
assert list(functions()), "this registers the routes"


@dataclass(frozen=True)
class Customer:
    """A customer, and every text by which an answer could give it away."""

    connected: Connected
    tenant_id: str
    ticket: Mapping[str, Any]
    recommendation_id: str
    batch_id: str
    texts: Sequence[str]

    @property
    def connection_id(self) -> str:
        return self.connected.connection_id

    @property
    def values(self) -> Mapping[str, str]:
        """A value for each name that an address or a form has for something of a customer."""
        ids = {"connection_id": self.connection_id, "tenant_id": self.tenant_id, "batch_id": self.batch_id}
        ticket = {"ticket_id": self.ticket["ticket_id"], "update_id": "0" * 32}
        return ids | ticket | {"recommendation_id": self.recommendation_id}

    @property
    def form(self) -> list[tuple[str, str]]:
        """Fields that name it wherever a form can."""
        record = self.ticket["servicenow"]["number"]
        more = [("connection", self.connection_id), ("tenant", self.tenant_id), ("number", record)]
        more += [("id", self.recommendation_id), ("recommendation", self.recommendation_id)]
        return [*self.values.items(), *more, ("ticket", self.ticket["ticket_id"]), ("mode", "each")]

    def body(self, route: str) -> object:
        """A body of a request about it, for each operation with one."""
        tickets = {"tenant_id": self.tenant_id, "kind": "incident", "recommendation_ids": [self.recommendation_id]}
        known: dict[str, object] = {
            "create_ticket": self.connected.ticket(),
            "create_tickets": {**tickets, "mode": "each", "create_another": True},
            "retry_tickets": {"ticket_ids": [self.ticket["ticket_id"]]},
            "link_ticket": {"tenant_id": self.tenant_id, "number": self.ticket["servicenow"]["number"]},
            "ask_for_update": {"comment": "A comment"},
            "put_connection": {**self.connected.request, "display_name": "Taken over"},
            "put_tenant": {"name": "Taken over", "connection_id": self.connection_id, "files_only": True},
        }
        return known.get(route, {})


def customer(app: WholeApp, name: str, *limited_to: str) -> Customer:
    """Make a customer with a ticket, a recommendation and a batch of tickets."""
    planted, tenant_id = f"{name} planted", TENANTS[name]
    connected = app.registered()
    if limited_to:  # Before the app has read any limits, so that it need not forget them.
        limit(app, connected.connection_id, *limited_to)
    connected = replace(connected, request={**connected.request, "display_name": f"{planted} connection"})
    assert app.megan.ask("PUT", connected.path, connected.request).status_code == 201
    assert app.authorize(connected).status_code == 303
    tenant = {"name": f"{planted} tenant", "connection_id": connected.connection_id, "files_only": True}
    assert app.megan.ask("PUT", f"/api/tenants/{tenant_id}", tenant).status_code == 201
    files = {"file": ("export.csv", LIST.format(name=f"{planted} action").encode(), "text/csv")}
    assert app.megan.ask("POST", f"/api/tenants/{tenant_id}/import", files=files).status_code == 200
    (action,) = app.megan.get(f"/api/recommendations?tenant_id={tenant_id}")["recommendations"]
    ticket = app.create(connected, name=f"{planted} ticket")
    wanted = {"tenant_id": tenant_id, "kind": "incident", "recommendation_ids": [action["id"]], "mode": "each"}
    batch = app.megan.ask("POST", "/api/tickets/bulk", wanted).json()
    texts = [planted, connected.connection_id, tenant_id, ticket["ticket_id"], ticket["servicenow"]["number"]]
    texts += [connected.client_id, connected.user_name, batch["batch_id"]]
    return Customer(connected, tenant_id, ticket, action["id"], batch["batch_id"], texts)


@dataclass(frozen=True)
class Place:
    """The app with two customers, one of them limited, and the programs that people ask with."""

    app: WholeApp
    hidden: Customer
    open: Customer
    programs: Mapping[str, Program]

    def stored(self) -> Mapping[str, Any]:
        """Return every stored row of the hidden customer."""
        keys = {self.hidden.connection_id, self.hidden.tenant_id}
        with tables(self.app) as client:
            return {
                f"{name} {row['PartitionKey']} {row['RowKey']}": row
                for name in TABLE_NAMES
                for row in client.get(f"/{name}()").raise_for_status().json()["value"]
                if keys & {row["PartitionKey"], row["RowKey"]}
            }


def tables(app: WholeApp) -> httpx.Client:
    """Return a client of the app's tables."""
    certificates = app.world.certificates
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = {**table_service_headers(certificates), "Accept": "application/json"}
    return httpx.Client(base_url=app.account.tables_url, headers=headers, verify=trusted, trust_env=False)


def limit(app: WholeApp, connection_id: str, *object_ids: str) -> None:
    """Limit a customer as an operator can, by its row."""
    address = f"/directory(PartitionKey='access',RowKey='{connection_id}')"
    with tables(app) as client:
        client.request("MERGE", address, json={"limited_to": json.dumps(object_ids)}).raise_for_status()


@pytest.fixture(scope="module")
def place(start_app: Callable[..., WholeApp], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    everybody = TENANT.model_dump(mode="json")
    everybody["people"] += [
        {
            "name": name,
            "email": f"{name}@contoso.example",
            "oid": f"0b1e6d3c-6a53-4f7e-9a7e-00000000c{number:03}",
            "roles": sorted(Role),
            "token": f"token-of-{name}",
            "groups": groups,
            "claim_objects": "members" if name == "crowded_otherwise" else "json",
        }
        for number, (name, groups) in enumerate(PEOPLE.items())
    ]
    file: Path = tmp_path_factory.mktemp("tenant") / "people.json"
    file.write_text(json.dumps(everybody))
    app = start_app(options=["--no-timers", "--people", str(file)])
    makers = [each.oid for each in TENANT.people if each.name in {"Megan Bowen", "Adele Vance"}]
    hidden, shown = customer(app, "hidden", GROUP, REPORTER, *makers), customer(app, "open")
    app.run_timer()  # A turn of each connection copies what happened to its tickets to the evidence.
    programs = {name: app.program(f"token-of-{name}") for name in PEOPLE}
    programs["reporter"] = app.program("token-of-the-score-reporter")
    yield Place(app, hidden, shown, programs)
    for program in programs.values():
        program.close()


def addresses(route: Route, about: Customer, other: Customer) -> Iterator[str]:
    """Yield the addresses of a route: each parameter names one customer or the other, and at least one the first."""
    names = re.findall(r"\{\*?(\w+)\}", route.path)
    known = [(about.values.get(name, "nothing"), other.values.get(name, "nothing")) for name in names]
    for chosen in product(*known):
        if not names or any(value == about.values.get(name) for name, value in zip(names, chosen, strict=True)):
            path = re.sub(r"\{\*?(\w+)\}", "{}", f"/{route.path.lstrip('/')}").format(*chosen)
            wanted = {"connection": about.connection_id} | dict(about.values)
            query = {name: wanted[name] for name in route.query_names or wanted if name in wanted}
            yield path
            if query and route.method == "GET":
                yield f"{path}?{urlencode(query)}"


def answers(
    program: Program, routes: Sequence[Route], about: Customer, other: Customer
) -> Iterator[tuple[str, str, httpx.Response]]:
    """Ask every route about a customer; yield its name, all that was sent, and the answer."""
    for route in routes:
        method = "GET" if route.method == ANY_METHOD else route.method
        for address in dict.fromkeys(addresses(route, about, other)):
            content: dict[str, Any] = {}
            if method not in {"GET", "DELETE"}:
                content = {"data": dict(about.form)} if route.html else {"json": about.body(route.name)}
            accept = {"Accept": "text/html"} if route.html else {}
            answer = program.ask(method, address, headers=accept, **content)
            yield route.name, f"{address} {content}", answer


def said(answer: httpx.Response) -> str:
    """Return everything that an answer says."""
    return f"{answer.text} {' '.join(answer.headers.values())}"


def test_no_route_gives_a_limited_customer_away_or_changes_it(place: Place) -> None:
    before = place.stored()
    assert len(before) > 5
    for name, sent, answer in answers(place.programs["stranger"], ROUTES, place.hidden, place.open):
        found = [text for text in place.hidden.texts if text in said(answer) and text not in sent]
        assert not found, (name, sent, answer.status_code, found)
        assert answer.status_code < 500, (name, sent, answer.text)
    assert place.stored() == before


def test_routes_show_a_limited_customer_to_whoever_may_see_it(place: Place) -> None:
    """Otherwise the test before could not fail."""
    reading = [route for route in ROUTES if route.method == "GET"]
    asked = answers(place.programs["friend"], reading, place.hidden, place.hidden)
    showing = (name for name, _, answer in asked if "hidden planted" in said(answer))
    shown: set[str] = set()
    while len(shown) < SEEN_AT_LEAST:
        name = next(showing, None)
        assert name is not None, f"only these show it: {sorted(shown)}"
        shown.add(name)
    assert "hidden planted" in place.programs["reporter"].ask("GET", "/api/tickets").text


def test_what_is_counted_is_what_the_caller_may_see(place: Place) -> None:
    def total(who: str) -> int:
        answer = place.programs[who].ask("GET", "/api/tickets?limit=100").json()
        return len(answer["tickets"])

    assert total("stranger") == 2
    assert total("friend") == 4


def test_a_hidden_id_cannot_be_taken_over(place: Place) -> None:
    stranger, hidden = place.programs["stranger"], place.hidden
    taken = stranger.ask("PUT", hidden.connected.path, hidden.connected.request)
    refused(taken, 409, "connection_id_taken")
    tenant = {"name": "Mine", "files_only": True}
    refused(stranger.ask("PUT", f"/api/tenants/{hidden.tenant_id}", tenant), 409, "tenant_already_added")


def test_a_limit_holds_at_once_for_whoever_asks_the_same_instance(place: Place) -> None:
    friend, stranger, customer = place.programs["friend"], place.programs["stranger"], place.open
    assert stranger.ask("GET", customer.connected.path).json()["limited_to"] == []
    wanted = {**customer.connected.request, "limited_to": [{"object_id": GROUP.upper(), "note": "Operations"}]}
    refused(stranger.ask("PUT", customer.connected.path, wanted), 422, "would_lock_you_out")
    limited = friend.ask("PUT", customer.connected.path, wanted)
    assert limited.json()["limited_to"] == [{"object_id": GROUP, "note": "Operations"}]
    refused(stranger.ask("GET", customer.connected.path), 404, "connection_not_found")
    refused(stranger.ask("GET", f"/api/tickets/{customer.ticket['ticket_id']}"), 404, "ticket_not_found")
    page = friend.ask("GET", f"/configuration/{customer.connection_id}/settings", headers={"Accept": "text/html"})
    assert f"{GROUP} Operations" in page.text
    unlimited = friend.ask("PUT", customer.connected.path, {**customer.connected.request, "limited_to": []})
    assert unlimited.json()["limited_to"] == []
    assert stranger.ask("GET", customer.connected.path).status_code == 200


@pytest.mark.parametrize("who", ["crowded", "crowded_otherwise"])
def test_whoever_is_in_too_many_groups_is_told_so(place: Place, who: str) -> None:
    crowded = place.programs[who]
    refused(crowded.ask("GET", "/api/connections"), 403, "groups_unknown")
    page = crowded.ask("GET", "/configuration", headers={"Accept": "text/html"})
    assert "more groups than a sign-in can name" in page.text
    assert "open planted" in page.text
    assert "hidden planted" not in page.text
    for others in ("friend", "stranger"):
        other = place.programs[others].ask("GET", "/configuration", headers={"Accept": "text/html"})
        assert "more groups than a sign-in can name" not in other.text


def test_a_customer_that_is_limited_can_still_be_authorized(place: Place) -> None:
    """ServiceNow's callback is open to anybody: its cookies prove who began."""
    assert place.app.authorize(place.hidden.connected).status_code == 303
    assert place.app.status(place.hidden.connected) == "connected"
