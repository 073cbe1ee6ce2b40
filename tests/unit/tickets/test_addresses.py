from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tickets.addresses import real_address


@given(
    name=st.from_regex(r"\A[a-z0-9._+-]{1,20}\Z"),
    domain=st.from_regex(r"\A[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){1,2}\Z"),
    mark=st.sampled_from(["#EXT#", "#ext#"]),
)
def test_a_guest_is_known_by_the_real_address(name: str, domain: str, mark: str) -> None:
    assert real_address(f"{name}_{domain}{mark}@fabrikam.onmicrosoft.com") == f"{name}@{domain}"


@given(st.emails())
def test_any_other_address_stays(address: str) -> None:
    assert real_address(address) == address


@pytest.mark.parametrize("address", ["", "ada", "#EXT#@x", "ada#EXT#@x.onmicrosoft.com", "_a#EXT#@x"])
def test_what_cannot_be_decoded_stays(address: str) -> None:
    assert real_address(address) == address
