"""Every code has words in every language, all words have a code, and the code gives every value that its words need."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, get_args

import pytest

import shared.errors
from shared.error_codes import Code, OwnFaultCode
from shared.errors import ConnectorError, Failure, MandatoryFieldsMissing, OutcomeUnknown, ServiceNowUnavailable
from shared.words.error_words import fault_words, words_of
from shared.words.language import FOLDER, languages

CODES: Final = frozenset(get_args(Code.__value__))
OWN_FAULTS: Final = frozenset(get_args(OwnFaultCode.__value__))
TEXTS: Final = languages()["en"].texts
CLASSES: Final = {
    name: value
    for name, value in vars(shared.errors).items()
    if isinstance(value, type) and issubclass(value, ConnectorError)
}
GIVEN_BY: Final = {
    **dict.fromkeys(CLASSES, frozenset[str]()),
    "Failure": frozenset[str](),
    "error": frozenset[str](),
    "unusable_answer": frozenset[str](),
    "read_body": frozenset({"count", "errors"}),
}
"""The calls that take a code, with the values that they add; ``error`` is a class chosen at runtime."""
KEY: Final = re.compile(r"error\.([a-z_]+)\.(?:\w+\.)?(?:message|next_step|title)")


@dataclass(frozen=True)
class Site:
    """A place that gives an error its code.

    Attributes:
        values: Names of the given values.
        handed_on: Whether further values are passed on.
        variants: The possible variants; None stands for the code itself.
    """

    code: str
    line: str
    values: frozenset[str]
    handed_on: bool
    variants: frozenset[str | None]


def placeholders(text: str) -> frozenset[str]:
    """Return the names of a text's values."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def variants_of(code: str) -> frozenset[str]:
    """Return the variants of a code that have words of their own."""
    return frozenset(parts[2] for key in TEXTS if (parts := key.split("."))[:2] == ["error", code] and len(parts) == 4)


@pytest.fixture(scope="module")
def trees() -> list[ast.Module]:
    """The source."""
    return [
        ast.parse(file.read_text(encoding="utf-8"))
        for file in FOLDER.parent.parent.rglob("*.py")
        if file.name != "error_codes.py"
    ]


@pytest.fixture(scope="module")
def quoted(trees: list[ast.Module]) -> set[str]:
    """Every text in the source."""
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.fixture(scope="module")
def sites(trees: list[ast.Module]) -> list[Site]:
    """Every place in the source that gives an error a literal code, or leaves it to the class."""
    return list(sites_in(trees))


def sites_in(trees: list[ast.Module]) -> Iterator[Site]:
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in GIVEN_BY:
                continue
            called = node.func.id
            given = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            default = CLASSES[called].default_code if called in CLASSES and not node.args else None
            code = given if isinstance(given, str) else default
            if code is None:
                continue
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            handed_on = None in keywords
            variant = keywords.get("variant")
            variants: frozenset[str | None]
            if isinstance(variant, ast.Constant):
                variants = frozenset({str(variant.value)})
            elif variant is None and not handed_on:
                variants = frozenset({None})
            else:
                variants = frozenset({None, *variants_of(code)})
            names = frozenset(name for name in keywords if name is not None) | GIVEN_BY[called]
            yield Site(code, ast.unparse(node), names, handed_on, variants)


def used(code: str, variant: str | None, part: str) -> str:
    """Return the shown text for a variant of a code, or an empty text."""
    return TEXTS.get(f"error.{code}.{variant}.{part}") or TEXTS.get(f"error.{code}.{part}", "")


def test_most_places_are_found(sites: list[Site]) -> None:
    assert len(sites) > 110
    assert {site.code for site in sites} >= {"internal_error", "delivery_refused", "mandatory_fields_missing"}


def test_every_code_has_words() -> None:
    assert {code for code in CODES if f"error.{code}.message" not in TEXTS} == set()
    assert {code for code in OWN_FAULTS if f"fault.code.{code}" not in TEXTS} == set()


def test_every_code_is_given_somewhere(sites: list[Site], quoted: set[str]) -> None:
    assert {site.code for site in sites} <= CODES
    assert set() == (CODES | OWN_FAULTS) - quoted


def test_no_words_without_a_code(quoted: set[str]) -> None:
    codes = {
        key.split(".")[1] for key in TEXTS if re.fullmatch(r"error\.[a-z_]+\.(\w+\.)?(message|next_step|title)", key)
    }
    assert codes <= CODES
    assert {variant for code in CODES for variant in variants_of(code)} <= quoted


def test_every_variant_that_is_given_has_words(sites: list[Site]) -> None:
    wordless = [
        site.line
        for site in sites
        for variant in site.variants
        if variant is not None and not used(site.code, variant, "message")
    ]
    assert wordless == []


def test_every_value_that_the_words_need_is_given(sites: list[Site]) -> None:
    missing = [
        f"{site.line} as {variant} does not give its {part}: {', '.join(sorted(not_given))}"
        for site in sites
        if not site.handed_on
        for variant in site.variants
        for part in ("message", "next_step")
        if (not_given := placeholders(used(site.code, variant, part)) - {"reason", "remedy"} - site.values)
    ]
    assert missing == []


def test_what_is_handed_on_fills_every_variant(sites: list[Site]) -> None:
    """Values that are passed on are those of the code itself, or names from ServiceNow."""
    for site in sites:
        if site.handed_on:
            for variant in site.variants:
                needed = placeholders(used(site.code, variant, "message"))
                assert needed <= site.values | {"names", "reason", "parameter", "parameters", "count"}, site.line


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_error_says_what_to_do_unless_there_is_nothing(code: str) -> None:
    nothing_to_do = {"already_delivered", "confirmation_needed", "ticket_not_found"}
    assert (f"error.{code}.next_step" in TEXTS or code == "invalid_parameter") is (code not in nothing_to_do)


@pytest.mark.parametrize("language", languages())
def test_an_error_behind_an_error_is_part_of_its_words(language: str) -> None:
    t = languages()[language]
    unclear = OutcomeUnknown(**ServiceNowUnavailable(variant="answered", answered_status=502).as_reason)
    behind = words_of(ServiceNowUnavailable(variant="answered", answered_status=502), t).message
    assert "502" in behind
    assert words_of(unclear, t).message.startswith(behind)
    again = OutcomeUnknown(**unclear.as_reason)
    assert words_of(again, t) == words_of(unclear, t)
    assert words_of(OutcomeUnknown(), t).message == t("error.outcome_unknown.message", reason="").strip()


def test_what_release_0_1_stored_is_said_in_every_language_with_the_names_it_names() -> None:
    stored = Failure(
        "mandatory_fields_missing",
        message="A data policy in ServiceNow demands fields that the ticket does not have: Category, Service.",
        next_step="Set a default.",
    )
    now = MandatoryFieldsMissing(variant="named", names="Category, Service")
    for t in languages().values():
        assert words_of(stored, t) == words_of(now, t)


def test_a_code_of_another_release_is_said_as_it_was_stored() -> None:
    stored = Failure("of_another_release", message="It broke: badly.", next_step="Mend it.")
    for t in languages().values():
        assert (words_of(stored, t).message, words_of(stored, t).next_step) == ("It broke: badly.", "Mend it.")
        assert "of_another_release" in words_of(Failure("of_another_release"), t).message


def test_a_known_code_without_its_values_is_said_as_it_was_stored() -> None:
    stored = Failure("instance_left_outcome_unknown", message="It is not known.", next_step="Look for m365:1.")
    for t in languages().values():
        assert words_of(stored, t).next_step == "Look for m365:1."


def test_a_fault_that_no_language_knows_is_said_all_the_same() -> None:
    for t in languages().values():
        assert fault_words({"pointer": "/x", "code": "of_a_later_pydantic", "values": {}}, t) == t("fault.code.other")


def test_an_error_shows_its_code_and_values_in_a_trace() -> None:
    assert str(MandatoryFieldsMissing(variant="named", names="Service")) == (
        "mandatory_fields_missing variant='named' names='Service'"
    )
