"""The language of a connection, as an administrator sets it."""

from __future__ import annotations

from typing import Any

import pytest

from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from tests.unit.connections.surroundings import Surroundings


async def test_left_out_it_stays() -> None:
    app = Surroundings()
    await app.configured()
    assert app.stored().language == "en"
    await app.configured(language="ja")
    await app.configured()
    assert app.stored().language == "ja"


def test_one_that_the_connector_does_not_have_is_refused() -> None:
    body = {
        "display_name": "Contoso",
        "instance": "https://contoso.service-now.com",
        "client_id": "a",
        "integration_user": "m365",
        "language": "eo",
    }
    with pytest.raises(FixRequest) as refused:
        read_connection_request(body)
    errors: Any = refused.value.values["errors"]
    assert [(each["pointer"], each["code"]) for each in errors] == [("/language", "unknown_language")]
