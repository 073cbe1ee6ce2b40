"""A newcomer against twelve hardened instances: each ends in a delivered ticket, within 15 pages."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from sandbox.servicenow.stage.browser import AuthenticatorApp
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.hardened import EGRESS_ADDRESS, HARDENED, harden
from sandbox.world import World, create_tables, start_servicenow, table_service_headers
from shared.storage.tables import TABLE_NAMES
from tests.fixtures.newcomer import TICKET, Administrator, Newcomer
from tests.fixtures.whole_app import WholeApp

MOST_PAGES = 15
PAGE = Path(__file__).parent.parent.parent / "docs" / "servicenow-setup.md"
ROWS: Mapping[str, list[str]] = {
    cells[0].strip("` "): [cell.strip() for cell in cells[1:]]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| `\w+` \|", line) and len(cells := line.strip("|").split("|")) == 5
}
"""The table in the documentation: what each instance demands, what the newcomer sees, who does what, pages."""


@pytest.fixture(scope="module")
def connector(start_app: Callable[..., WholeApp]) -> WholeApp:
    """A connector that knows its egress address."""
    return start_app(sign_in=False, settings={"EGRESS_ADDRESSES": EGRESS_ADDRESS})


@pytest.fixture(scope="module")
def instance(world: World) -> Iterator[ControlClient]:
    """An instance that no other test uses."""
    servicenow = start_servicenow(world.processes, name="Hardened ServiceNow")
    with ControlClient(servicenow.url) as control:
        yield control
    world.processes.stop(servicenow.process)


@pytest.fixture
def just_deployed(connector: WholeApp, instance: ControlClient) -> Iterator[WholeApp]:
    """The connector without a connection, and the instance as new."""
    certificates = connector.world.certificates
    trusted = ssl.create_default_context(cafile=certificates.authority)
    headers = table_service_headers(certificates)
    with httpx.Client(base_url=connector.account.tables_url, headers=headers, verify=trusted) as tables:
        for name in TABLE_NAMES:
            tables.delete(f"/Tables('{name}')").raise_for_status()
    create_tables(connector.account, certificates)
    instance.reset(records=True)
    yield connector
    for token in instance.tokens():
        connector.canary.plant(token["type"], token["token"])


@pytest.mark.parametrize("name", HARDENED)
def test_a_newcomer_gets_a_ticket_delivered(just_deployed: WholeApp, instance: ControlClient, name: str) -> None:
    app, canary = just_deployed.host.public_url, just_deployed.canary
    hand_over = harden(instance, name, f"{app}/api/oauth/callback")
    canary.plant("client secret", hand_over.client_secret)
    administrator = Administrator(instance, hand_over)
    phone = AuthenticatorApp(instance.now)
    with Newcomer(app, "Megan Bowen", hand_over, administrator, phone, canary.saw) as newcomer:
        newcomer.get_a_ticket_delivered(MOST_PAGES)

    [record] = instance.records("incident", f"short_description={TICKET['Name']}")
    for policy in HARDENED[name].policies:
        assert all(record[column] for column in policy.mandatory)
    demands, sees, who_does_what, pages = ROWS[name]
    assert demands == HARDENED[name].demands
    assert [
        each for each in re.findall(r"“(.+?)”", sees) if each not in " ".join((*newcomer.seen, *newcomer.told))
    ] == []
    people = (("The newcomer", newcomer.done), ("ServiceNow’s administrator", administrator.done))
    assert who_does_what == "; ".join(f"{who} {' and '.join(done)}" for who, done in people if done)
    assert pages == str(len(newcomer.seen))


def test_the_table_in_the_documentation_has_no_other_row() -> None:
    assert list(ROWS) == list(HARDENED)
