"""The token of a request, and what follows when ServiceNow refuses it."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from shared.connections.model import Connection
from shared.errors import AccessTokenRefused, NewAccessTokenRefused, OutcomeUnknown, Reauthorize, ServiceNowUnavailable
from shared.outbound.transport import Transport
from shared.secret import Secret
from tests.fixtures.servicenow import ANY_TIME, WholeClient
from tests.memory.clock import ManualClock
from tests.memory.tokens import MemoryTokens
from tests.unit.outbound.support import Answering
from tests.unit.servicenow.support import CONNECTION, KIND_SETTINGS, error_reply, json_reply, record_cells, ticket

OLD, NEW = Secret("canary old token"), Secret("canary new token")
UNAUTHORIZED = error_reply(401, "User Not Authenticated", "Required to provide Auth information")


class Server:
    """Accepts some tokens, and remembers each request with its token."""

    def __init__(self, *accepted: Secret) -> None:
        self.accepted = [f"Bearer {token.reveal()}" for token in accepted]
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"]
        self.asked.append((request.method, token.removeprefix("Bearer ")))
        if token not in self.accepted:
            return UNAUTHORIZED(request)
        written = request.method == "POST"
        return json_reply({"result": record_cells() if written else []}, 201 if written else 200)(request)


def client_of(server: Server, tokens: MemoryTokens) -> WholeClient:
    return WholeClient(Transport(network=Answering(server)), tokens)


async def read(client: WholeClient) -> None:
    await client.records.list_by_sys_id(CONNECTION, ["1" * 32])


async def write(client: WholeClient) -> None:
    await client.records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=ANY_TIME)


async def test_a_read_is_repeated_once_with_a_new_token() -> None:
    server, tokens = Server(NEW), MemoryTokens(OLD)
    tokens.others.append(NEW)
    client = client_of(server, tokens)
    await read(client)
    await read(client)
    assert server.asked == [("GET", OLD.reveal()), ("GET", NEW.reveal()), ("GET", NEW.reveal())]
    assert tokens.refused == [OLD]


async def test_a_new_token_that_is_refused_too_is_no_end_of_the_consent() -> None:
    server, tokens = Server(), MemoryTokens(OLD)
    tokens.others.extend([NEW, Secret("never asked for")])
    with pytest.raises(NewAccessTokenRefused) as caught:
        await read(client_of(server, tokens))
    assert (caught.value.code, caught.value.status) == ("new_access_token_refused", 503)
    assert not caught.value.may_be_written
    assert tokens.refused == [OLD]
    assert len(server.asked) == 2


async def test_why_there_is_no_other_token_is_said() -> None:
    tokens = MemoryTokens(OLD)
    tokens.others.append(Reauthorize())
    with pytest.raises(Reauthorize):
        await read(client_of(Server(), tokens))


async def test_a_write_is_not_repeated_and_the_read_after_it_gets_another_token() -> None:
    server, tokens = Server(NEW), MemoryTokens(OLD)
    tokens.others.append(NEW)
    client = client_of(server, tokens)
    with pytest.raises(AccessTokenRefused) as caught:
        await write(client)
    assert not isinstance(caught.value, OutcomeUnknown | NewAccessTokenRefused)
    assert caught.value.may_be_written, "servers are known to carry out a write and answer 401"
    assert server.asked == [("POST", OLD.reveal())]
    await read(client)
    await write(client)
    assert server.asked[1:] == [("GET", OLD.reveal()), ("GET", NEW.reveal()), ("POST", NEW.reveal())]
    assert tokens.refused == [OLD]


async def test_a_given_token_is_sent_alone_and_its_refusal_is_final() -> None:
    server, tokens = Server(NEW), MemoryTokens(OLD)
    tokens.others.append(NEW)
    users, probe = client_of(server, tokens).users, client_of(server, tokens).probe
    await users.with_token(NEW).may_read(CONNECTION, ticket().content.kind)
    await probe.with_token(NEW).may_read_choices(CONNECTION, ticket().content.kind)
    assert {token for _, token in server.asked} == {NEW.reveal()}
    for look in (
        users.with_token(OLD).current_user(CONNECTION),
        probe.with_token(OLD).visible(CONNECTION, ["1" * 32]),
        probe.with_token(OLD).rate_limit(CONNECTION),
    ):
        server.asked.clear()
        with pytest.raises(AccessTokenRefused) as caught:
            await look
        assert caught.value.code == "access_token_refused"
        assert server.asked == [("GET", OLD.reveal())]
    assert tokens.refused == []


async def test_a_write_whose_token_came_too_late_is_not_sent() -> None:
    """A later one could be committed after somebody else has looked up the record."""
    server, clock = Server(NEW), ManualClock()

    class Slow(MemoryTokens):
        async def access_token(self, connection: Connection) -> Secret:
            clock.advance(60)
            return NEW

    client = WholeClient(Transport(network=Answering(server)), Slow(), clock=clock)
    send_by = clock() + timedelta(seconds=59)
    with pytest.raises(ServiceNowUnavailable) as caught:
        await client.records.create_record(CONNECTION, ticket(), KIND_SETTINGS, None, send_by=send_by)
    assert not caught.value.may_be_written
    assert server.asked == []
