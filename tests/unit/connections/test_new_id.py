"""The id of a new connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.connections.lookup import checked_connection_id
from shared.connections.model import Connection, ConnectionStatus
from shared.connections.new_id import connection_id_for

CONTOSO = Connection(
    connection_id="contoso",
    display_name="Contoso",
    instance="https://contoso.service-now.com",
    client_id="client",
    integration_user="m365.integration",
    status=ConnectionStatus.CONNECTED,
)
REMOVED = replace(CONTOSO, status=ConnectionStatus.DISCONNECTED)


def new(
    *known: Connection, instance: str = CONTOSO.instance, client: str = "client", user: str = "m365.integration"
) -> str:
    return connection_id_for(instance, client, user, known)


def test_it_is_the_name_of_the_instance() -> None:
    assert new() == "contoso"


def test_saving_the_same_twice_makes_one_connection() -> None:
    assert new(CONTOSO) == "contoso"
    assert new(CONTOSO, user="M365.Integration") == "contoso"


def test_another_user_client_or_instance_is_another_connection() -> None:
    assert new(CONTOSO, user="another") == "contoso-2"
    assert new(CONTOSO, client="another") == "contoso-2"
    assert new(CONTOSO, instance="https://contoso.example") == "contoso-2"
    assert new(CONTOSO, replace(CONTOSO, connection_id="contoso-2"), user="another") == "contoso-3"


def test_a_removed_connection_to_the_instance_is_taken_up_again() -> None:
    assert new(REMOVED, client="another", user="another") == "contoso"
    assert new(REMOVED, instance="https://contoso.example") == "contoso-2"


@pytest.mark.parametrize(
    "instance", ["http://127.0.0.1:8080", "https://x.example", f"https://{'a' * 60}.service-now.com"]
)
def test_it_is_an_id_whatever_the_instance(instance: str) -> None:
    assert checked_connection_id(new(instance=instance))
