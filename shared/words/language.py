"""Languages: each is one file in ``translations/``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from shared.value_object import value_object
from shared.words.bidirectional import Words, isolated

FOLDER: Final = Path(__file__).parent / "translations"
FALLBACK: Final = "en"
COOKIE: Final = "language"
_TORN: Final = re.compile(r"(?<=[0-9}]) (?=[\u3041-\u30ff\u4e00-\u9fff])")
"""The space between a number, or a value, and a Japanese word; no rule of CSS keeps a line from ending there."""


@value_object
class Language:
    """One language.

    Attributes:
        code: BCP 47 code, the file's name.
        texts: Text by key; ``{name}`` stands for a value.
        keeps_counters: Whether a number stays on the line of the Japanese word that counts with it, as on pages.
    """

    code: str
    texts: Mapping[str, str]
    keeps_counters: bool = False

    def __call__(self, key: str, **values: object) -> Words:
        """Return the text of a key with its values filled in. Raises KeyError for a key without a text."""
        text = self.texts[key]
        if self.keeps_counters:
            text = _unbroken(text)  # Before people's text is in it, which stays as it is.
        return Words(text.format_map({name: _isolated(value) for name, value in values.items()}))

    def counted(self, key: str, count: int, **values: object) -> Words:
        """Return the text for a number of things; its ``.one`` text for exactly one."""
        return self(f"{key}.one" if count == 1 else key, count=count, **values)

    def plain(self, key: str, **values: object) -> str:
        """Return the same for a text that leaves our pages: values and blanks as they are, without isolates."""
        return self.texts[key].format_map(values)

    def for_pages(self) -> Language:
        """Return the language for pages, where lines end."""
        return replace(self, keeps_counters=True)

    def get(self, key: str, **values: object) -> Words | None:
        """Return the text of a key, or None when there is none."""
        return self(key, **values) if key in self.texts else None

    def named(self, group: str, value: str) -> str:
        """Return the name of a stored value; the value itself if another release wrote it and it has no name here."""
        return self.get(f"{group}.{value}") or value

    def filled(self, key: str, values: Mapping[str, object]) -> Words | None:
        """Return the text of a key; None if there is none or one of its values is missing."""
        try:
            return self.get(key, **values)
        except KeyError:
            return None


@cache
def _unbroken(text: str) -> str:
    return _TORN.sub("\u00a0", text)


def _isolated(value: object) -> object:
    return isolated(value) if isinstance(value, str) else value


@cache
def languages() -> Mapping[str, Language]:
    """Return every language that has a file, by code."""
    files = sorted(FOLDER.glob("*.json"))
    return {file.stem: Language(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in files}


def language_of(code: str) -> Language:
    """Return the language with a stored code; English for one that only another release has."""
    known = languages()
    return known.get(code, known[FALLBACK])


def choose_language(cookie: str | None, accept_language: str | None) -> Language:
    """Return the language that a person chose, or else the one the browser prefers."""
    known = languages()
    if cookie is not None and cookie in known:
        return known[cookie]
    for code in preferred_codes(accept_language or ""):
        if code in known:
            return known[code]
    return known[FALLBACK]


def preferred_codes(accept_language: str) -> list[str]:
    """Return the primary codes of an ``Accept-Language`` header, most wanted first (RFC 9110 12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language[:500].split(","):
        tag, _, parameters = part.strip().partition(";")
        name, _, value = parameters.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag and quality > 0:
            wanted.append((quality, tag.partition("-")[0].strip().lower()))
    return [code for _, code in sorted(wanted, key=lambda each: -each[0])]
