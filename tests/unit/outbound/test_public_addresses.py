"""Requests for public hosts only: nobody reaches our own network through us, whatever a name means when."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest

from shared.outbound.failures import NoAnswer, Reason
from shared.outbound.public_addresses import is_public
from shared.outbound.transport import Limits, Request, Transport
from tests.unit.outbound.support import Answering

PUBLIC = ["20.1.1.1", "8.8.8.8", "2603:1020::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
OURS = [
    *("10.0.0.1", "172.16.9.9", "192.168.1.1", "127.0.0.1", "0.0.0.0", "100.64.0.1", "169.254.169.254"),
    *("168.63.129.16", "224.0.0.1", "240.0.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1"),
    *("ff02::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:a00:1::", "2001:0:a00:1::", "not an address", ""),
    "fec0::1",  # Site-local: deprecated by RFC 3879, and still private where it is used.
]


class Network:
    """Notes what is sent where; names mean what the test says, each time something else."""

    def __init__(self, *meanings: Sequence[str], unreachable: Sequence[str] = ()) -> None:
        self.meanings = list(meanings)
        self.unreachable = unreachable
        self.requests: list[httpx.Request] = []
        self.transport = Transport(network=Answering(self.answer), resolve=self.resolve)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("hooks.example", 8443)
        return self.meanings.pop(0)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.unreachable:
            raise httpx.ConnectError("no")
        return httpx.Response(202)

    async def send(self) -> int:
        request = Request(method="POST", url="https://hooks.example:8443/a?sig=%2Fx", document=b"{}", public_only=True)
        async with self.transport.exchange(request, Limits(), queue="q", total_s=5) as answer:
            return answer.status


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", OURS)
def test_nothing_else_is_public(address: str) -> None:
    assert not is_public(address)


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    network = Network(["20.1.1.1"])
    assert await network.send() == 202
    (request,) = network.requests
    assert str(request.url) == "https://20.1.1.1:8443/a?sig=%2Fx"
    assert request.headers["Host"] == "hooks.example:8443"
    assert request.extensions["sni_hostname"] == "hooks.example"
    assert request.headers["Connection"] == "close"


@pytest.mark.parametrize("meaning", [["10.0.0.1"], ["20.1.1.1", "169.254.169.254"], ["::1"]])
async def test_a_name_that_leads_into_our_network_is_refused_unsent(meaning: list[str]) -> None:
    network = Network(meaning)
    with pytest.raises(NoAnswer) as caught:
        await network.send()
    assert caught.value.reason is Reason.ADDRESS_NOT_PUBLIC
    assert network.requests == []


async def test_a_name_that_changes_its_meaning_is_looked_up_once_for_each_request() -> None:
    network = Network(["20.1.1.1"], ["127.0.0.1"])
    assert await network.send() == 202
    with pytest.raises(NoAnswer) as caught:
        await network.send()
    assert caught.value.reason is Reason.ADDRESS_NOT_PUBLIC
    assert [each.url.host for each in network.requests] == ["20.1.1.1"]


async def test_an_unknown_host() -> None:
    with pytest.raises(NoAnswer) as caught:
        await Network([]).send()
    assert caught.value.reason is Reason.HOST_UNKNOWN


async def test_the_next_address_is_tried_if_there_is_no_connection() -> None:
    network = Network(["20.1.1.1", "20.1.1.2"], unreachable=["20.1.1.1"])
    assert await network.send() == 202
    assert [each.url.host for each in network.requests] == ["20.1.1.1", "20.1.1.2"]


def test_a_request_does_not_show_its_address() -> None:
    request = Request(method="POST", url="https://hooks.example/?sig=hidden", document=b"private")
    assert "hidden" not in repr(request)
    assert "private" not in repr(request)


async def test_a_proxy_decides_itself_what_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name goes to the proxy, which alone knows what it means there; nothing goes past the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "hooks.example")

    async def never(host: str, port: int) -> Sequence[str]:
        raise AssertionError("the proxy looks up names")

    transport = Transport(resolve=never)
    request = Request(method="POST", url="https://hooks.example/", document=b"{}", public_only=True)
    with pytest.raises(NoAnswer) as caught:
        async with transport.exchange(request, Limits(), queue="q", total_s=5):
            pass
    assert caught.value.reason is Reason.NO_CONNECTION
    await transport.aclose()


@pytest.mark.parametrize("public_only", [True, False])
async def test_a_host_whose_name_means_nothing_is_unknown(public_only: bool) -> None:
    """The name of an internationalized domain that cannot be decoded; only httpx notices that."""
    network = Network(["20.1.1.1"])
    request = Request(method="POST", url="https://xn--a.example/", document=b"{}", public_only=public_only)
    with pytest.raises(NoAnswer) as caught:
        async with network.transport.exchange(request, Limits(), queue="q", total_s=5):
            pass
    assert caught.value.reason is Reason.HOST_UNKNOWN
    assert not network.requests
