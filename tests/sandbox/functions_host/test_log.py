"""In the host's log, text from the app or a request can neither control a terminal nor imitate an entry."""

from __future__ import annotations

import logging
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.functions_host.log import EntryFormatter, escape
from tests.sandbox.functions_host.conftest import Wire

CONTROLS = "\x00\x07\x08\x0b\x0c\r\x1b[2J\x7f\x85\x9b31m\u2028\u2029"
ESCAPED = r"\x00\x07\x08\x0b\x0c\r\x1b[2J\x7f\x85\x9b31m\u2028\u2029"
FORGED = "2026-01-01 00:00:00,000 INFO Host forged"


def has_controls(text: str) -> bool:
    return any(unicodedata.category(each) in {"Cc", "Zl", "Zp"} for each in text if each not in "\t\n")


@given(st.text(st.characters(categories=("Cc", "Zl", "Zp", "L"))))
def test_escaped_text_has_no_controls_and_keeps_the_rest(text: str) -> None:
    assert not has_controls(escape(text))
    assert len(f"{escape(text)}.".splitlines()) == len(text.split("\n"))
    plain = "".join(each for each in text if not has_controls(each))
    assert escape(plain) == plain


def test_an_entry_of_several_lines_is_indented_below_its_first() -> None:
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "one\n%s", (FORGED,), None)
    assert EntryFormatter("%(name)s %(message)s").format(record) == f"app one\n    {FORGED}"


@pytest.mark.parametrize(
    ("how", "times"), [("logged ", 1), ("printed ", 1), ("printed as an error ", 1), ("RuntimeError: raised ", 2)]
)
def test_what_the_app_brings_is_escaped(wire: Wire, how: str, times: int) -> None:
    """The function's logger and the results' logger both log the exception (Functions host §P18)."""
    marker = f"after {how}"
    before = len(wire.process.text())
    assert wire.client.post("/api/loud/x", content=f"{CONTROLS}{marker}".encode()).status_code == 500
    written = wire.process.text()[before:]
    assert not has_controls(written)
    assert written.count(f"{how}{ESCAPED}{marker}") >= times


def test_what_a_request_brings_is_escaped(wire: Wire) -> None:
    before = len(wire.process.text())
    path = "/api/loud/%1B%5B2J%0D%0A" + FORGED.replace(" ", "%20") + "%7F%C2%9B%E2%80%A8"
    assert wire.ask(f"GET {path} HTTP/1.1", "Host: h\x1b[2J", "User-Agent: \x1b[2J\x85")[0] in {400, 404}
    assert wire.ask(f"GET {path} HTTP/1.1", "Host: h", "User-Agent: \x1b[2J\x85\u2028")[0] == 404
    written = wire.process.text()[before:]
    assert not has_controls(written)
    assert re.search(r"Host GET /api/loud/%1B%5B2J%0D%0A2026", written)
    assert not any(line.startswith(FORGED) for line in written.splitlines())
