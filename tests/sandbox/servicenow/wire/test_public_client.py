"""ServiceNow's own Python client works with the simulator unchanged, both synchronous and asyncio."""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pysnc import ServiceNowClient  # type: ignore[import-untyped]
from pysnc.asyncio import AsyncServiceNowClient  # type: ignore[import-untyped]
from pysnc.exceptions import (  # type: ignore[import-untyped]
    AuthenticationException,
    InsertException,
    RequestException,
    RoleException,
)

from sandbox.certificates import ensure_certificates
from sandbox.servicenow.app import create_app
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.seed.demonstration import plant
from sandbox.servicenow.stage.seed.people import ADMIN_SYS_ID, PEOPLE
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import serving

PASSWORDS = {person.user_name: person.password for person in PEOPLE}
AUTHORITY = str(ensure_certificates().authority)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """An instance with demonstration data, served by TLS: the client refuses anything else."""
    instance = Instance()
    plant(instance)
    instance.properties["simulator.session.api_call_ms"] = 0
    tls = {"ssl_certfile": ensure_certificates().chain, "ssl_keyfile": ensure_certificates().key}
    with serving(configuration(create_app(instance), **tls)) as address:
        yield address.replace("127.0.0.1", "localhost")
    instance.close()


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch) -> None:
    # The client prefers the environment to the authority that it is given.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", AUTHORITY)


def connect(url: str, user: str) -> ServiceNowClient:
    return ServiceNowClient(url, (user, PASSWORDS[user]))


@pytest.fixture
def client(url: str) -> Iterator[ServiceNowClient]:
    client = connect(url, "admin")
    yield client
    client.session.close()


@pytest.fixture
async def async_client(url: str) -> AsyncIterator[AsyncServiceNowClient]:
    client = AsyncServiceNowClient(url, ("admin", PASSWORDS["admin"]))
    yield client
    await client.session.aclose()


@pytest.fixture
def marker() -> str:
    return f"marked {uuid.uuid4().hex}"


class TestSynchronous:
    """`pysnc`"""

    def test_query_and_read(self, client: ServiceNowClient) -> None:
        record = client.GlideRecord("sys_user")
        assert record.get(ADMIN_SYS_ID)
        assert (record.user_name, record.get_display_value("department")) == ("admin", "Finance")
        assert not client.GlideRecord("sys_user").get("missing")

    def test_iterate_in_batches(self, client: ServiceNowClient) -> None:
        record = client.GlideRecord("sys_user", batch_size=100)
        record.fields = "sys_id"
        record.query()
        assert len(record) > 600
        assert len({str(row.sys_id) for row in record}) == len(record)

    def test_insert_update_delete(self, client: ServiceNowClient, marker: str) -> None:
        for table in ("incident", "problem", "change_request", "sc_task"):
            record = client.GlideRecord(table)
            record.initialize()
            record.short_description = marker
            record.bunk_field = "ignored"
            sys_id = record.insert()
            assert str(record.number)
            assert len(str(record.opened_by)) == 32
            record.short_description = f"{marker} again"
            assert record.update() == sys_id
            again = client.GlideRecord(table)
            assert again.get(sys_id)
            assert str(again.short_description) == f"{marker} again"
            assert again.delete()
            assert not client.GlideRecord(table).get(sys_id)

    def test_an_id_of_ones_own(self, client: ServiceNowClient, marker: str) -> None:
        own = uuid.uuid4().hex
        record = client.GlideRecord("problem")
        record.initialize()
        record.set_new_guid_value(own)
        record.short_description = marker
        assert record.insert() == own

        def again() -> None:
            record.initialize()
            record.set_new_guid_value(own)
            record.insert()

        with pytest.raises((InsertException, RoleException)):
            again()

    def test_batch(self, client: ServiceNowClient, marker: str) -> None:
        for number in range(10):
            record = client.GlideRecord("problem")
            record.initialize()
            record.short_description = f"{marker} {number}"
            record.insert()

        def marked(words: str) -> Any:
            found = client.GlideRecord("problem")
            found.add_query("short_description", "LIKE", words)
            found.query()
            return found

        found = marked(marker)
        while found.next():
            found.short_description = f"{found.short_description} changed {marker[-6:]}"
        assert found.update_multiple()
        assert len(marked(f"changed {marker[-6:]}")) == 10
        assert marked(marker).delete_multiple()
        assert len(marked(marker)) == 0

    def test_long_queries(self, client: ServiceNowClient) -> None:
        record = client.GlideRecord("sys_user")
        for _ in range(2300):
            record.add_query("AAAA", "BBBB")
        record.add_query("sys_id", ADMIN_SYS_ID)
        record.query()
        assert len(record) == 1
        answers: list[Any] = []
        client.batch_api.list(record, answers.append)
        client.batch_api.execute()
        assert len(answers[0].json()["result"]) == 1

    def test_related_rows(self, client: ServiceNowClient) -> None:
        record = client.GlideRecord("sys_user")
        record.add_join_query("sys_user_group", join_table_field="manager").add_query("active", "true")
        record.query()
        assert len(record) == 6

    def test_refusals(self, client: ServiceNowClient, url: str) -> None:
        with pytest.raises(RequestException, match="Invalid table"):
            client.GlideRecord("no_such_table").get("x")
        with pytest.raises(RequestException, match=r"^<.*html>"):
            client.GlideRecord("A" * 23000).get("x")
        stranger = ServiceNowClient(url, ("admin", "wrong"))
        with pytest.raises(AuthenticationException):
            stranger.GlideRecord("sys_user").get("x")
        stranger.session.close()
        person = connect(url, "adele.vance")
        record = person.GlideRecord("change_request")
        record.initialize()
        with pytest.raises(RoleException):
            record.insert()
        person.session.close()


class TestAsyncio:
    """`pysnc.asyncio`"""

    async def test_query_and_iterate(self, async_client: AsyncServiceNowClient) -> None:
        record = await async_client.GlideRecord("sys_user", batch_size=100)
        record.fields = "sys_id"
        await record.query()
        assert len(record) > 600
        assert len({str(row.sys_id) async for row in record}) == len(record)

    async def test_insert_update_delete(self, async_client: AsyncServiceNowClient, marker: str) -> None:
        record = await async_client.GlideRecord("incident")
        record.initialize()
        record.short_description = marker
        sys_id = await record.insert()
        record.short_description = f"{marker} again"
        assert await record.update()
        again = await async_client.GlideRecord("incident")
        assert await again.get(sys_id)
        assert str(again.short_description) == f"{marker} again"
        assert await again.delete()

    async def test_batch(self, async_client: AsyncServiceNowClient, marker: str) -> None:
        for number in range(3):
            record = await async_client.GlideRecord("problem")
            record.initialize()
            record.short_description = f"{marker} {number}"
            await record.insert()
        found = await async_client.GlideRecord("problem")
        found.add_query("short_description", "LIKE", marker)
        await found.query()
        assert len(found) == 3
        assert await found.delete_multiple()
        await found.query()
        assert len(found) == 0
