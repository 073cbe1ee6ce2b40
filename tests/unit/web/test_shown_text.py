"""People's text on a page stays in its place, hides nothing, and forms send it as typed."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import Failure, FixRequest
from shared.texts import DIRECTION_CONTROLS
from shared.web.html import environment
from shared.words.error_words import words_of
from shared.words.language import languages

HEBREW = "אבטחה"
OVERRIDE = "\u202e"
t = languages()["en"]
TEMPLATE = """{% macro field(value) %}<input value="{{ value }}" placeholder="{{ value }}">{% endmacro %}
<title>{{ text }}</title>
<h1>{{ text }}</h1>
{% for each in [text] %}
<a href="/{{ each }}" aria-label="{{ each }}"{% if true %} title="{{ each }}"{% endif %}>{{ each }}</a>
{% endfor %}
{{ field(text) }}
<select><option value="{{ text }}">{{ text if true else "" }}</option></select>
<textarea>{{ text }}</textarea>
<p>{{ t("removed.text", name=text) }}</p>
"""
TEXTS = st.text(
    st.sampled_from([*DIRECTION_CONTROLS, HEBREW[0], "ا", "٣", "a", "あ", "1", "<", "&", '"', "'", "(", "⟦"])
)


class Read(HTMLParser):
    """The page as a browser reads it.

    Attributes:
        texts: The text of each element, without its isolates.
        attributes: The values of each element's attributes.
        isolates: The text in isolates, by the element around them.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.isolates: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes[tag] = dict(attrs)
        if tag != "input":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        element = next((tag for tag in reversed(self._open) if tag != "bdi"), "")
        self.texts[element] = self.texts.get(element, "") + data
        if "bdi" in self._open:
            self.isolates[element] = self.isolates.get(element, "") + data


def read(text: str) -> Read:
    """Show a text in every kind of place."""
    return Read(environment().from_string(TEMPLATE).render(text=text, t=t))


@given(TEXTS)
@example(HEBREW)
def test_what_a_form_or_an_address_holds_is_what_was_typed(text: str) -> None:
    page = read(text)
    assert page.attributes["a"]["href"] == f"/{text}"
    assert page.attributes["input"]["value"] == page.attributes["option"]["value"] == text
    assert page.texts.get("textarea", "") == text


@given(TEXTS)
@example(HEBREW)
@example(OVERRIDE)
def test_what_is_shown_hides_nothing_and_turns_nothing_around_it(text: str) -> None:
    page = read(text)
    shown = "".join(f"⟦U+{ord(each):04X}⟧" if each in DIRECTION_CONTROLS else each for each in text)
    turns = any(unicodedata.bidirectional(each) in {"R", "AL", "AN"} for each in shown)
    for element in ("h1", "a"):
        assert page.texts.get(element, "") == shown
        assert page.isolates.get(element, "") == (shown if turns else "")
    assert page.texts["p"] == t.texts["removed.text"].replace("{name}", shown)
    assert page.isolates.get("p", "") == (shown if turns else "")
    plain = f"\u2068{shown}\u2069" if turns else shown
    assert page.texts.get("title", "") == page.texts.get("option", "") == plain
    assert page.attributes["a"]["aria-label"] == page.attributes["a"]["title"] == plain
    assert page.attributes["input"]["placeholder"] == plain


@pytest.mark.parametrize("language", languages())
def test_what_servicenow_said_is_isolated_in_an_error(language: str) -> None:
    refused = Failure("business_rule_refused", {"variant": "named", "names": f"{HEBREW}{OVERRIDE}"})
    shown = words_of(refused, languages()[language]).message
    page = Read(environment().from_string("<p>{{ shown }}</p>").render(shown=shown))
    assert f"{HEBREW}⟦U+202E⟧" in page.isolates["p"]
    assert not set(page.texts["p"]) & set(DIRECTION_CONTROLS)


def test_words_that_quote_words_quote_them_as_they_are() -> None:
    inner = t("removed.text", name=HEBREW)
    assert t("check.any.no_answer.seen", problem=inner) == inner


def test_a_number_and_its_counter_stay_on_one_line_in_our_own_words_on_pages_only() -> None:
    usual, name = languages()["ja"], "Fix 3 サーバー"
    ja = usual.for_pages()
    assert ja.counted("tickets.total", 12) == "12\u00a0件"
    assert ja.counted("tickets.total", 1) == "1\u00a0件"
    assert words_of(FixRequest("invalid_ticket", count=3), ja).message.startswith("チケットの要求に 3\u00a0件の")
    assert usual.counted("tickets.total", 12) == ja.plain("tickets.total", count=12) == "12 件"
    quoting = ja("link.not_understood.value", field=ja("filter.search"), value=name)
    assert name in environment().from_string("<p>{{ quoting }}</p>").render(quoting=quoting)
