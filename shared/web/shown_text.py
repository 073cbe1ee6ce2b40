"""How a text is shown in each place of a template: in an element, where markup is impossible, and as a value.

The place is known when a template is compiled, so no template has to name it and none can forget it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from shared.words.bidirectional import FIRST_STRONG_ISOLATE, POP_DIRECTIONAL_ISOLATE, isolated

SHOWN_ATTRIBUTES: Final = frozenset({"alt", "aria-label", "data-label", "data-otherwise", "placeholder", "title"})
"""Attributes that people read or hear. All others are values: addresses, identifiers and what a form sends."""
PLAIN_ELEMENTS: Final = frozenset({"option", "title"})
"""Elements that hold text and no markup."""
VALUE_ELEMENTS: Final = frozenset({"textarea"})
"""Elements whose content a form sends."""
IN_ELEMENT: Final = "shown_in_element"
WITHOUT_MARKUP: Final = "shown_without_markup"
_ISOLATES: Final = {ord(FIRST_STRONG_ISOLATE): "<bdi>", ord(POP_DIRECTIONAL_ISOLATE): "</bdi>"}
_MARKUP: Final = re.compile(r"""<(?P<element>/?[a-z][a-z0-9]*)|(?P<attribute>[a-z-]+)="|(?P<end>>)""", re.ASCII)


class ShownText(Extension):
    """Adds the filter for its place to every ``{{ … }}``, as escaping does."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters[IN_ELEMENT] = _of_text(_isolated_by_markup)
        environment.filters[WITHOUT_MARKUP] = _of_text(isolated)

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """Return a template's tokens with the filters added."""
        place = _Place()
        for token in stream:
            shown_by = place.filter
            if token.type == "data":
                place.read(token.value)
            if token.type == "variable_end" and shown_by is not None:
                yield Token(token.lineno, "rparen", ")")
                yield Token(token.lineno, "pipe", "|")
                yield Token(token.lineno, "name", shown_by)
            yield token
            if token.type == "variable_begin" and shown_by is not None:
                yield Token(token.lineno, "lparen", "(")


class _Place:
    """The current place in a template's HTML."""

    def __init__(self) -> None:
        self._element = ""
        self._attribute = ""
        self._in_tag = False

    def read(self, html: str) -> None:
        """Continue after a piece of the template's own HTML."""
        for found in _MARKUP.finditer(html):
            if found["element"]:
                self._element, self._attribute, self._in_tag = found["element"], "", True
            elif found["attribute"]:
                self._attribute = found["attribute"]
            else:
                self._in_tag = False

    @property
    def filter(self) -> str | None:
        """The filter for a text in this place; None if it is a value."""
        if self._in_tag:
            return WITHOUT_MARKUP if self._attribute in SHOWN_ATTRIBUTES else None
        if self._element in VALUE_ELEMENTS:
            return None
        return WITHOUT_MARKUP if self._element in PLAIN_ELEMENTS else IN_ELEMENT


def _isolated_by_markup(text: str) -> Markup:
    """Return a text as the content of an element: as :func:`isolated`, with ``<bdi>`` for isolates."""
    return Markup(str(escape(isolated(text))).translate(_ISOLATES))  # noqa: S704 - escaped, then our own elements


def _of_text(show: Callable[[str], str]) -> Callable[[object], object]:
    """Return the filter that shows plain text, and leaves markup, numbers and missing values to the template."""
    return lambda value: show(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
