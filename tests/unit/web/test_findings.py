"""Every finding has words in every language."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pytest

from shared.check.findings import ANY_CHECK, REASONS, CheckName, Finding, Outcome, finding
from shared.errors import MandatoryFieldsMissing
from shared.web.findings import FindingWords, alike, finding_words
from shared.words.language import languages

REFUSED = MandatoryFieldsMissing(variant="named", names="Close notes")


def every_finding() -> Iterator[Finding]:
    for name in CheckName:
        for reason in (*REASONS[name.topic], *ANY_CHECK):
            texts = languages()["en"].texts
            topic = name.topic if reason in REASONS[name.topic] else "any"
            asked = {
                value
                for part in ("seen", "meaning", "fix")
                for _, value, _, _ in string.Formatter().parse(texts.get(f"check.{topic}.{reason}.{part}", ""))
                if value is not None and value not in {"kind", "problem", "remedy"}
            }
            values = {value: "reachable" if value == "blocker" else f"<{value}>" for value in asked}
            yield Finding(name, reason, values, REFUSED.failure)


@pytest.mark.parametrize("code", languages())
@pytest.mark.parametrize("found", list(every_finding()), ids=lambda found: f"{found.check}-{found.reason}")
def test_every_finding_has_words(found: Finding, code: str) -> None:
    words: FindingWords = finding_words(found, languages()[code])
    assert words.title
    assert words.seen
    assert "{" not in words.title + words.seen + words.meaning + words.fix
    if words.outcome is Outcome.FAILED:
        assert words.fix, "every failure says what to do"


def test_every_text_belongs_to_a_finding() -> None:
    keys = {key for key in languages()["en"].texts if key.startswith("check.") and key.count(".") == 3}
    known = {
        f"check.{topic}.{reason}" for topic, reasons in {**REASONS, "any": ANY_CHECK}.items() for reason in reasons
    }
    assert {key.rpartition(".")[0] for key in keys} <= known


def test_a_problem_is_told_in_the_language_with_the_names_it_names() -> None:
    found = finding(CheckName.CREATE_INCIDENT, "refused", problem=REFUSED)
    assert finding_words(found, languages()["en"]).seen.endswith("does not have: “Close notes”.")
    japanese = finding_words(found, languages()["ja"]).seen
    assert japanese.startswith("ServiceNow の")
    assert "「Close notes」" in japanese


def test_kinds_and_other_checks_have_their_names() -> None:
    t = languages()["ja"]
    assert t("kind.change") in finding_words(finding(CheckName.READ_CHANGE, "passed"), t).title
    blocked = finding_words(finding(CheckName.RELEASE, "not_checked", blocker="reachable"), t)
    assert t("check.reachable.title") in blocked.seen


def test_one_cause_is_said_once() -> None:
    t = languages()["en"]
    blocked = [finding(name, "not_checked", blocker="token_endpoint") for name in list(CheckName)[6:18]]
    others = [finding(CheckName.CONSENT, "missing"), finding(CheckName.RELEASE, "unreadable")]
    groups = alike([finding_words(each, t) for each in (others[0], *blocked, others[1])])
    assert [len(group) for group in groups] == [1, 12, 1]
    assert {each.seen for each in groups[1]} == {
        t("check.any.not_checked.seen", blocker=t("check.token_endpoint.title"))
    }
