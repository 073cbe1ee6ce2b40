"""Microsoft's HTML as plain text, for ServiceNow."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

from shared.recommendations.texts.html_texts import sanitised
from shared.texts import utf16_length, without_code_tags

_MAX_INDENT: Final = 4
"""Deeper lists are not indented further."""


def plain_text(html: str) -> str:
    """Return the text of a piece of HTML.

    Items of lists begin with ``1.`` or ``-``, paragraphs are separated by an empty line, and an address follows its
    link's text in brackets. Nothing in it is a tag of ServiceNow's journal fields.
    """
    reader = _Reader()
    reader.feed(sanitised(html))
    reader.close()
    return without_code_tags(reader.text())


def shortened(text: str, max_length: int) -> str:
    """Return a text that is no longer than this; one that was cut ends with an ellipsis.

    Args:
        max_length: As :func:`shared.texts.utf16_length` counts, at least 1.
    """
    if utf16_length(text) <= max_length:
        return text
    end, length = 0, 1
    while (length := length + utf16_length(text[end])) <= max_length:
        end += 1
    return f"{text[:end].rstrip()}…"


class _Reader(HTMLParser):
    """Reads sanitised HTML, which is well-formed and has no other tags than those below."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._pieces: list[str] = []
        self._lists: list[int | None] = []
        """The number of each open list's last item, outermost first; None for a list without numbers."""
        self._marker = ""
        """What the next line begins with."""
        self._is_new_paragraph = False
        self._href = ""
        self._link_begins_at = 0

    def text(self) -> str:
        """Return what was read."""
        self._end_line()
        return "\n".join(self._lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line or a link."""
        if tag == "a":
            self._href, self._link_begins_at = dict(attrs).get("href") or "", len(self._pieces)
            return
        self._end_line()
        if tag in {"ol", "ul"}:
            self._begin_paragraph()
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "p":
            self._begin_paragraph()

    def handle_endtag(self, tag: str) -> None:
        """End a line or a link."""
        if tag == "a":
            self._end_link()
            return
        self._end_line()
        if tag in {"ol", "ul"}:
            self._lists.pop()
        if tag == "li":
            self._marker = ""
        else:
            self._begin_paragraph()

    def handle_data(self, data: str) -> None:
        """Add text."""
        self._pieces.append(data)

    def _begin_paragraph(self) -> None:
        """Separate the next line from the last one by an empty line, except in lists."""
        self._is_new_paragraph = self._is_new_paragraph or not self._lists

    def _end_line(self) -> None:
        line = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        self._link_begins_at = 0
        if not line:
            return
        if self._is_new_paragraph and self._lines:
            self._lines.append("")
        margin = "" if self._marker or not self._lists else f"{self._indent()}  "
        self._lines.append(f"{self._marker or margin}{line}")
        self._marker, self._is_new_paragraph = "", False

    def _end_link(self) -> None:
        shown = "".join(self._pieces[self._link_begins_at :]).strip()
        if shown != self._href:
            self._pieces.append(f" ({self._href})" if shown else self._href)

    def _next_marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{self._indent()}- "
        self._lists[-1] = number + 1
        return f"{self._indent()}{number + 1}. "

    def _indent(self) -> str:
        return "  " * min(max(len(self._lists) - 1, 0), _MAX_INDENT)
