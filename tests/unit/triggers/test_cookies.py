"""The browser's cookies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.triggers.cookies import LONGEST, MOST, cookie_value

NAME = "__Host-authorization-0123456789abcdef"


def value(header: str, name: str = NAME) -> str | None:
    return cookie_value({"Cookie": header}, name)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"{NAME}=v", "v"),
        (f"a=b; {NAME}=v; c=d", "v"),
        (f"a=b;{NAME}=v=w", "v=w"),
        (f"a=b;\t {NAME} = v ", "v"),
        (f"{NAME}=", ""),
        (f"{NAME}=first; {NAME}=second", "first"),
        (f'{NAME}="v"', '"v"'),
        (f"{NAME}=%76", "%76"),
        ("", None),
        (NAME, None),
        (f"{NAME.lower()}=v", None),
        (f"x{NAME}=v", None),
        (f"a=b,{NAME}=v", None),
        (f"a=b, {NAME}=v", None),
        (f'a="b{NAME}=v', None),
        (f"\u00a0{NAME}=v", None),
        (f"a=b\n{NAME}=v", None),
    ],
)
def test_only_a_semicolon_ends_a_cookie(header: str, expected: str | None) -> None:
    assert value(header) == expected


def test_quotes_hide_no_cookie() -> None:
    """A neighbouring site sets ``a``; its value must neither swallow the next cookie nor look like one."""
    assert value(f'a="; {NAME}=v; b="') == "v"


def test_cookies_are_bounded() -> None:
    others = "; ".join(f"c{number}=x" for number in range(MOST - 1))
    assert value(f"{others}; {NAME}=v") == "v"
    assert value(f"more=x; {others}; {NAME}=v") is None
    assert value(f"{NAME}=v; a={'x' * LONGEST}") is None


@given(st.text(alphabet=st.characters(exclude_characters=";"), max_size=80))
def test_no_value_of_another_cookie_makes_one_of_ours(planted: str) -> None:
    assert value(f"a={planted}") is None
    assert value(f"a={planted}; {NAME}=ours; b={planted}") == "ours"


def test_without_a_header_there_is_no_cookie() -> None:
    assert cookie_value({}, NAME) is None
