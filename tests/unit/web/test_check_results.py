"""A check's result names causes before what follows from them."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from shared.check.findings import CheckName, Finding
from shared.connections.model import ConnectionStatus
from shared.web.check_results import check_result
from tests.english import ENGLISH
from tests.unit.web.test_checklist import connection
from tests.unit.web.test_findings import every_finding

AUTHORIZE = "/api/oauth/authorize?connection_id=contoso"
CONNECTION = connection(ConnectionStatus.CONNECTED)
EVERY: Final = list(every_finding())


def test_a_cause_comes_first_with_its_button_and_the_rest_waits() -> None:
    wanted = [
        (CheckName.REACHABLE, "passed"),
        (CheckName.TOKEN_ENDPOINT, "refused"),
        (CheckName.CONSENT, "refused"),
        (CheckName.MULTIFACTOR, "nobody_named"),
        (CheckName.SIGNED_IN_USER, "not_checked"),
        (CheckName.TICKETS_ARRIVE, "reauthorize"),
    ]
    found = [each for each in EVERY if (each.check, each.reason) in wanted]
    result = check_result(found, CONNECTION, ENGLISH, authorize_path=AUTHORIZE)
    first, second = result.causes
    assert (first.findings[0].check, first.action and first.action.address) == (CheckName.TOKEN_ENDPOINT, AUTHORIZE)
    assert second.findings[0].check is CheckName.MULTIFACTOR
    assert [each.check for each in result.waiting] == [
        CheckName.CONSENT,
        CheckName.SIGNED_IN_USER,
        CheckName.TICKETS_ARRIVE,
    ]
    assert [each.check for each in result.passed] == [CheckName.REACHABLE]


@given(st.lists(st.sampled_from(EVERY), max_size=12, unique_by=lambda each: each.check))
def test_every_finding_is_shown_once_and_every_button_leads_somewhere(found: list[Finding]) -> None:
    result = check_result(found, CONNECTION, ENGLISH, authorize_path=AUTHORIZE)
    groups = [cause.findings for cause in result.causes]
    shown = [each.check for group in (*groups, result.waiting, result.passed) for each in group]
    assert sorted(shown) == sorted(each.check for each in found)
    for cause in result.causes:
        if cause.action is not None:
            assert ENGLISH.get(cause.action.words)
            assert urlsplit(cause.action.address).path


def test_what_leads_to_its_fix_comes_before_what_may_be_normal() -> None:
    wanted = [(CheckName.APPLICATION_REGISTRY, "unreadable"), (CheckName.MULTIFACTOR, "nobody_named")]
    found = [each for each in EVERY if (each.check, each.reason) in wanted]
    assert [each.check for each in found] == [CheckName.APPLICATION_REGISTRY, CheckName.MULTIFACTOR]
    causes = check_result(found, CONNECTION, ENGLISH, authorize_path=AUTHORIZE).causes
    assert [each.findings[0].check for each in causes] == [CheckName.MULTIFACTOR, CheckName.APPLICATION_REGISTRY]


def test_refused_tickets_are_seen_although_the_check_passed() -> None:
    found = [Finding(CheckName.TICKETS_ARRIVE, "some_refused", {"count": "3"})]
    result = check_result(found, CONNECTION, ENGLISH, authorize_path=AUTHORIZE)
    (notice,) = result.notices
    assert notice.action
    assert notice.action.address == "/tickets?show=failed&connection=contoso"
    assert not result.causes
