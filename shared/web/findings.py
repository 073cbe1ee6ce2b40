"""The words of a connection check's findings, in a person's language.

A finding says what was seen, what that means and how to fix it. The keys are ``check.<topic>.title`` and
``check.<topic>.<reason>.seen``, ``….meaning`` and ``….fix``; reasons that every check can have are under the topic
``any``. Only the title and what was seen are always there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.check.findings import REASONS, CheckName, Finding, Outcome
from shared.value_object import value_object
from shared.words.error_words import words_of
from shared.words.language import Language


@value_object
class FindingWords:
    """A finding in words; an empty text where there is nothing to say."""

    check: CheckName
    reason: str
    outcome: Outcome
    title: str
    seen: str
    meaning: str
    fix: str


def finding_words(finding: Finding, t: Language) -> FindingWords:
    """Return a finding in the words of a language."""
    check = finding.check
    topic = check.topic if finding.reason in REASONS[check.topic] else "any"
    values = _values(finding, t)

    def part(name: str) -> str:
        return t.get(f"check.{topic}.{finding.reason}.{name}", **values) or ""

    return FindingWords(
        check=check,
        reason=finding.reason,
        outcome=finding.outcome,
        title=_title(check, t),
        seen=part("seen"),
        meaning=part("meaning"),
        fix=part("fix"),
    )


def alike(findings: Sequence[FindingWords]) -> Sequence[Sequence[FindingWords]]:
    """Return the findings; those that say the same of different checks are combined, so that a cause appears once."""
    groups: dict[tuple[str, str, str, str], list[FindingWords]] = {}
    for each in findings:
        groups.setdefault((each.outcome, each.seen, each.meaning, each.fix), []).append(each)
    return list(groups.values())


def _title(check: CheckName, t: Language) -> str:
    kind = "" if check.kind is None else t(f"kind.{check.kind}")
    return t(f"check.{check.topic}.title", kind=kind)


def _values(finding: Finding, t: Language) -> Mapping[str, str]:
    """Return the values to fill in: kinds, other checks and problems by their names in the language."""
    kind = finding.check.kind
    values = {"kind": "" if kind is None else t(f"kind.{kind}"), "problem": "", "remedy": "", **finding.values}
    if blocker := finding.values.get("blocker"):
        values["blocker"] = _title(CheckName(blocker), t)
    if finding.problem is not None:
        words = words_of(finding.problem, t)
        values |= {"problem": words.message, "remedy": words.next_step}
    return values
