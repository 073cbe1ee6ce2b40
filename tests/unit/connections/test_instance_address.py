"""The addresses to which secrets may be sent."""

from __future__ import annotations

import re
import string
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.connections.instance_address import normalise_instance
from shared.errors import FixRequest


def normalised(text: str, *hosts: str, loopback: bool = False) -> str:
    return normalise_instance(text, allowed_hosts=hosts, allow_loopback_http=loopback)


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda label: not label.startswith("xn--")
)


@given(
    LABELS,
    st.sampled_from(
        [
            "{}",
            "{}.service-now.com",
            "https://{}.service-now.com",
            "https://{}.service-now.com/",
            "HTTPS://{}.Service-Now.COM/now/nav/ui/home?x=1#y",
            "{}.service-now.com/nav_to.do?uri=incident.do",
            "  {}.service-now.com ",
            "{}.service-now.com.",
            "{}.service-now.com:443",
            "https://{}.service-now.com:443/login.do",
            "https://{}.service-now.com.:443",
        ],
    ),
)
def test_every_way_to_write_an_instance_means_the_same_address(label: str, written: str) -> None:
    assert normalised(written.format(label)) == f"https://{label}.service-now.com"
    assert normalised(written.format(label.upper())) == f"https://{label}.service-now.com"


@given(LABELS, st.sampled_from(["{}.servicenowservices.com", "https://{}.ServiceNowServices.com.:443/login.do"]))
def test_the_government_cloud_has_a_domain_of_its_own(label: str, written: str) -> None:
    assert normalised(written.format(label)) == f"https://{label}.servicenowservices.com"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "https://",
        "contoso.example.com",
        "https://service-now.com",
        "service-now.com",
        "https://contoso.service-now.com.example.com",
        "https://contoso-service-now.com",
        "https://example.com/contoso.service-now.com",
        "https://example.com#.service-now.com",
        "https://example.com?.service-now.com",
        "https://example.com\\.service-now.com",
        "https://user@contoso.service-now.com",
        "https://user:secret@contoso.service-now.com",
        "https://contoso.service-now.com@example.com",
        "https://contoso.service-now.com:8443",
        "https://contoso.service-now.com:0443",
        "https://contoso.service-now.com:80443",
        "https://contoso.service-now.com:",
        "https://contoso.service-now.com:443:443",
        "https://contoso.service-now.com:443.",
        "https://contoso.service-now.com..",
        "https://contoso.service-now.com:443@example.com",
        "https://contoso.service-now.com.:443.example.com",
        "http://contoso.service-now.com:443",
        "contoso.",
        "contoso:443",
        "https://contoso.servicenowservices.com.example.com",
        "https://contososervicenowservices.com",
        "https://contoso.service-nowservices.com",
        "https://servicenowservices.com",
        "https://.service-now.com",
        "https://-contoso.service-now.com",
        "https://con_toso.service-now.com",
        "https://con%2etoso.service-now.com",
        "https://a.b.service-now.com",
        "https://192.168.0.1",
        "192.168.0.1",
        "https://[::1]",
        "https://xn--cntoso-9ua.service-now.com",
        "xn--cntoso-9ua",
        "https://contosо.service-now.com",  # Cyrillic о
        "https://contoso。service-now.com",  # ideographic full stop
        "ｃontoso",
        "http://contoso.service-now.com",
        "ftp://contoso.service-now.com",
        "javascript://contoso.service-now.com",
        "//contoso.service-now.com",
        "https:contoso.service-now.com",
        "https:///contoso.service-now.com",
        "contoso\nexample.com",
        "con toso",
        "http://localhost:8080",
        "http://127.0.0.1",
        "localhost:8080",
        "contoso." + "a" * 300,
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(FixRequest) as caught:
        normalised(text)
    assert (caught.value.code, caught.value.status) == ("instance_not_allowed", 422)


@given(st.text(alphabet=string.printable + "о。／＠\u200b", max_size=60) | st.text(max_size=60))
@example("https://contoso.service-now.com:@example.com")
@example("a.service-now.com/.example.com")
@example("a.service-now.com.:443")
@example("a.servicenowservices.com:443")
def test_every_accepted_address_is_under_service_now_com(text: str) -> None:
    try:
        address = normalised(text)
    except FixRequest:
        return
    parts = urlsplit(address)
    assert parts.scheme == "https"
    assert parts.netloc == parts.hostname
    assert re.fullmatch(r"[a-z0-9-]+\.(service-now|servicenowservices)\.com", parts.netloc)
    assert (parts.path, parts.query, parts.fragment) == ("", "", "")
    assert normalised(address) == address


def test_the_operator_can_allow_another_host() -> None:
    hosts = ("servicenow.contoso.com", "Proxy.contoso.com:8443", "xn--bcher-kva.service-now.com")
    assert normalised("https://ServiceNow.contoso.com/x", *hosts) == "https://servicenow.contoso.com"
    assert normalised("proxy.contoso.com:8443", *hosts) == "https://proxy.contoso.com:8443"
    assert normalised("xn--bcher-kva.service-now.com", *hosts) == "https://xn--bcher-kva.service-now.com"
    assert normalised("https://servicenow.contoso.com.:443", *hosts) == "https://servicenow.contoso.com"
    assert normalised("https://exact.contoso.com:443", "exact.contoso.com:443") == "https://exact.contoso.com:443"
    for other in (
        "proxy.contoso.com",
        "proxy.contoso.com:443",
        "https://proxy.contoso.com:8444",
        "a.servicenow.contoso.com",
        "contoso.com",
    ):
        with pytest.raises(FixRequest):
            normalised(other, *hosts)
    with pytest.raises(FixRequest):
        normalised("http://servicenow.contoso.com", *hosts)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "[::1]:9", "localhost:65535"])
def test_this_machine_over_http_needs_the_setting(host: str) -> None:
    assert normalised(f"http://{host}/login.do", loopback=True) == f"http://{host}"
    with pytest.raises(FixRequest):
        normalised(f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost.example.com", "localhost@example.com", "127.0.0.1.nip.io"])
def test_the_setting_opens_nothing_but_this_machine(host: str) -> None:
    with pytest.raises(FixRequest):
        normalised(f"http://{host}", loopback=True)
