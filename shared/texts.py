"""Texts from outside, cleaned to be stored, shown and compared."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Final

DIRECTION_CONTROLS: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""The characters with the Unicode property Bidi_Control: they are invisible and rearrange what people see."""
_DIRECTION: Final = re.compile(f"[{DIRECTION_CONTROLS}]")
_BREAKS: Final = re.compile("[\\s\x00-\x1f\x7f-\x9f]+")

_CODE_TAG: Final = re.compile(r"\[([\s/]*code\b[^\[\]]*)\]", re.IGNORECASE)

_LOOKALIKES: Final = {
    "a": "АаΑαɑᴀᎪ",
    "b": "ВвΒβЬʙᏴ",
    "c": "СсϹϲᴄᏟ",
    "d": "ԁᴅđĐᎠ",
    "e": "ЕеΕεɛэᴇᎬ",
    "f": "ϜꜰғҒ",
    "g": "ɡɢԌᏀ",
    "i": "ІіΙιıɩɪӀӏ",
    "k": "КкΚκᴋᏦ",
    "l": "|ǀʟłŁᏞ",
    "m": "МмΜμᴍᎷ",
    "n": "Νηɴпո",
    "o": "ОоΟοσᴏøØօՕ",
    "p": "РрΡρᴘᏢ",
    "q": "ԛգǫ",
    "r": "Ггʀᴦᖇ",
    "s": "ЅѕʂꜱᏚ",
    "t": "ТтΤτᴛᎢ",
    "u": "υսᴜʊ",
    "v": "νѵᴠ",
    "x": "ХхΧχ",
    "y": "УуҮүΥʏγ",
    "3": "ЗзƷʒӠӡ",
    "6": "бƃ",
}
"""Letters of other scripts, and of styles that normalisation does not change, by the letter that they look like."""
_BY_LETTER: Final = str.maketrans({seen: letter for letter, others in _LOOKALIKES.items() for seen in others})
_SYMBOLS: Final = {
    start + number: letter
    for start in (0x1F150, 0x1F170, 0x1F1E6)
    for number, letter in enumerate(string.ascii_lowercase)
}
"""Letters in filled circles and squares, and letters of flags."""
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_SAME: Final = str.maketrans("i105", "llos")


def one_line(text: str, max_length: int | None = None) -> str:
    """Return a text as one line: no control or bidirectional character, single spaces, no half of an emoji.

    Args:
        max_length: In characters; a longer text is cut and ends with an ellipsis.
    """
    whole = text.encode(errors="replace").decode()
    line = _BREAKS.sub(" ", without_direction(whole)).strip()
    if max_length is None or len(line) <= max_length:
        return line
    return f"{line[: max_length - 1]}…"


def printable_line(text: str) -> str:
    """Return a text as one line of visible characters: none that are invisible, unassigned or for private use."""
    return one_line("".join(character for character in text if character.isprintable() or _BREAKS.match(character)))


def without_direction(text: str) -> str:
    """Return a text without bidirectional controls (Unicode Standard Annex 9), which rearrange what people see."""
    return _DIRECTION.sub("", text)


def without_code_tags(text: str) -> str:
    """Return a text with round brackets around ``code``, of the same length.

    ServiceNow shows what is between ``[code]`` and ``[/code]`` in a journal field as HTML.
    """
    return _CODE_TAG.sub(r"(\1)", text)


def ascii_lower(text: str) -> str:
    """Return a text with its ASCII letters in lower case, to compare account names.

    Unicode's lower case and case folding make two different names equal: the Kelvin sign becomes ``k``, and ``ß``
    equals ``ss``.
    """
    return text.translate(_ASCII_LOWER)


def utf16_length(text: str) -> int:
    """Return the length that Java, JavaScript and Table Storage see: a character beyond U+FFFF counts twice."""
    return len(text) + sum(character > "\uffff" for character in text)


def skeleton(text: str) -> str:
    """Return the shape of a text at a quick glance: two texts that look alike have the same skeleton.

    It has no case, accents, blanks, punctuation or invisible characters, and Latin letters in place of the letters of
    other scripts and styles that look like them.
    """
    plain = unicodedata.normalize("NFKD", text).translate(_SYMBOLS).translate(_BY_LETTER).casefold()
    letters = "".join(character for character in plain if character.isalnum())
    return letters.translate(_SAME).replace("rn", "m").replace("cl", "d").replace("vv", "w")
