"""Every language has every text, and no unused ones."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

import pytest

from shared.connections.model import TicketKind
from shared.words.language import FOLDER, languages

SHARED = FOLDER.parent.parent
FILES = [*SHARED.rglob("*.py"), *SHARED.rglob("*.html")]
SOURCES = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
COUNTED = set(re.findall(r"""\.counted\(\s*["']([a-z_0-9.]+)["'],""", SOURCES))
ENGLISH = languages()["en"].texts


def placeholders(text: str) -> set[str]:
    """Return the names of a text's values."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", languages())
def test_every_language_has_the_same_keys_in_order(code: str) -> None:
    texts = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    assert list(texts) == sorted(ENGLISH)
    assert [key for key, text in texts.items() if not text.strip()] == []


@pytest.mark.parametrize("code", languages())
def test_every_language_fills_in_the_same_values(code: str) -> None:
    texts = languages()[code].texts
    differing = [key for key, text in ENGLISH.items() if placeholders(texts[key]) != placeholders(text)]
    assert differing == []


@pytest.mark.parametrize("code", languages())
def test_no_text_lists_the_kinds_of_ticket(code: str) -> None:
    t = languages()[code]
    names = [t(f"kind.{kind}").lower() for kind in TicketKind]
    assert [key for key, text in t.texts.items() if sum(name in text.lower() for name in names) > 1] == []


def test_every_kind_of_ticket_has_the_same_words() -> None:
    groups = {key.removesuffix(f".{kind}") for key in ENGLISH for kind in TicketKind if key.endswith(f".{kind}")}
    assert "kind" in groups
    assert [key for group in groups for kind in TicketKind if (key := f"{group}.{kind}") not in ENGLISH] == []


def test_every_key_that_is_asked_for_exists() -> None:
    asked = set(re.findall(r"""\b(?:t|call\.language)\(\s*f?["']([a-z_0-9.]+)["'][,)]""", SOURCES))
    asked |= {key for counted in COUNTED for key in (counted, f"{counted}.one")}
    assert len(asked) > 100
    assert asked - ENGLISH.keys() == set()


def test_every_key_is_asked_for() -> None:
    quoted = set(re.findall(r"""["']([a-z_0-9]+(?:\.[a-z_0-9]+)*)["']""", SOURCES))
    composed = {*re.findall(r"""["']([a-z_]+\.(?:[a-z_]+\.)*)["'] ~""", SOURCES)}
    composed |= {*re.findall(r"""f["']([a-z_]+\.(?:[a-z_]+\.)*)\{""", SOURCES)}
    composed |= {f"{group}." for group in re.findall(r"""\bnamed\(["']([a-z_]+)["'],""", SOURCES)}
    quoted |= {f"{key}.one" for key in COUNTED}
    unused = [key for key in ENGLISH if key not in quoted and not key.startswith(tuple(composed))]
    assert unused == []


def test_what_is_counted_says_how_many() -> None:
    assert "check.passed" in COUNTED
    assert [key for key in COUNTED if "count" not in placeholders(ENGLISH[key])] == []


@pytest.mark.parametrize(("count", "text"), [(0, "0 checks passed"), (1, "1 check passed"), (2, "2 checks passed")])
def test_one_thing_has_words_of_its_own(count: int, text: str) -> None:
    assert languages()["en"].counted("check.passed", count) == text


def test_missing_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        languages()["en"]("no.such.key")


def test_folder_holds_nothing_but_languages() -> None:
    assert {file.stem for file in Path(FOLDER).iterdir()} == set(languages())
