"""The page about ServiceNow lists the close codes that claim no fix."""

from __future__ import annotations

import re

import pytest

from shared.connections.model import TicketKind
from shared.tickets.kinds import KINDS
from tests.docs.test_docs import ROOT

PAGE = (ROOT / "docs" / "servicenow-setup.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", TicketKind)
def test_the_usual_codes_of_each_kind_are_listed(kind: TicketKind) -> None:
    [row] = re.findall(rf"^\| {kind} \| (.*) \|$", PAGE, re.MULTILINE)
    assert tuple(re.findall(r"`([^`]+)`", row)) == KINDS[kind].not_done_codes
