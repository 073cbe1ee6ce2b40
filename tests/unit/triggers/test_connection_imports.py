"""The page and the operation that add many connections."""

from __future__ import annotations

from types import SimpleNamespace

import azure.functions as func
import pytest

from shared.connections.importing import ConnectionImport
from shared.triggers import front_door
from shared.triggers.answers import JsonAnswer
from shared.triggers.connection_imports import _BODY, ConnectionImportView, add_connections, add_connections_save
from shared.triggers.front_door import Call, Handler
from shared.triggers.request_bodies import read_form
from shared.triggers.routes import ROUTES
from shared.words.language import languages
from tests.unit.connections.surroundings import Surroundings
from tests.unit.triggers.page_calls import MANAGER, URL, text_of

FILE = (
    "connection_id,instance,client_id,integration_user,client_secret\r\n"
    "good,contoso,client,m365.integration,s3cret\r\n"
    "bad,contoso,,m365.integration,s3cret\r\n"
    "<b>,contoso,client,m365.integration,s3cret\r\n"
)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    world = Surroundings()
    application = SimpleNamespace(
        connection_import=ConnectionImport(world.configuration, world.store),
        settings=SimpleNamespace(public_base_url=URL),
        clock=world.clock,
    )
    monkeypatch.setattr(front_door, "application", lambda: application)
    return world


async def send(handler: Handler, content: str, language: str = "en") -> func.HttpResponse | JsonAnswer:
    [route] = [each for each in ROUTES if each.name == handler.__name__]
    part = 'Content-Disposition: form-data; name="file"; filename="many.csv"\r\nContent-Type: text/csv'
    request = func.HttpRequest(
        method="POST",
        url=f"{URL}/{route.path}",
        body=f"--b\r\n{part}\r\n\r\n{content}\r\n--b--\r\n".encode(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    content_of = read_form(request, _BODY)
    return await handler(Call(route, request, "request", languages()[language], caller=MANAGER, content=content_of))


async def test_the_operation_says_what_became_of_each_row(app: Surroundings) -> None:
    answer = await send(add_connections, FILE)
    assert isinstance(answer, JsonAnswer)
    assert isinstance(answer.body, ConnectionImportView)
    assert (answer.body.added, answer.body.refused) == (1, 2)
    assert [(each.row, each.code) for each in answer.body.rows] == [
        (2, None),
        (3, "invalid_connection"),
        (4, "invalid_connection_id"),
    ]
    message = answer.body.rows[1].message
    assert message is not None
    assert message.startswith("client_id: ")
    assert "s3cret" not in answer.body.model_dump_json()
    assert list(app.store.connections) == ["good"]


@pytest.mark.parametrize("code", languages())
async def test_the_page_shows_it_and_repeats_no_secret(app: Surroundings, code: str) -> None:
    answer = await send(add_connections_save, FILE, code)
    assert isinstance(answer, func.HttpResponse)
    html = text_of(answer)
    t = languages()[code]
    assert t("connections.import.counts", added=1, present=0, refused=2, not_tried=0) in html
    assert 'href="/configuration/good"' in html
    assert "&lt;b&gt;" in html
    assert "s3cret" not in html
    assert list(app.store.connections) == ["good"]


async def test_a_file_that_cannot_be_used_is_refused_on_the_page(app: Surroundings) -> None:
    answer = await send(add_connections_save, "connection_id\r\nx")
    assert isinstance(answer, func.HttpResponse)
    assert answer.status_code == 422
    assert "instance, client_id, integration_user" in text_of(answer)
    assert not app.store.connections
