"""Microsoft's HTML, sanitised to be shown on a page (Microsoft Graph §1.2).

It is stored as received and sanitised when it is shown, so a stricter rule also holds for what is stored already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import nh3

from shared.recommendations.texts.https_links import https_link
from shared.texts import without_direction

TAGS: Final = frozenset({"p", "br", "ol", "ul", "li", "a"})
MAX_LENGTH: Final = 20_000
"""How much of a text is read, in characters; Microsoft's have about 1,000. Deep nesting costs quadratic time."""

_NO_TEXT: Final = frozenset(
    {"script", "style", "iframe", "object", "svg", "math", "template", "title", "textarea", "noscript", "select"}
)
"""Elements whose content is not meant to be read as text."""
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LINKS: Final = re.compile('(<a(?: href="[^"]*")?>|</a>)')
"""The tags of links in sanitised HTML, where text has no ``<`` and an attribute's value no quotation mark."""
_IN_A_NEW_TAB: Final = 'target="_blank" rel="noopener noreferrer"'


def _attribute(tag: str, name: str, value: str) -> str | None:
    return https_link(value)


_CLEANER: Final = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags=set(_NO_TEXT),
    attributes={"a": {"href"}},
    attribute_filter=_attribute,
    url_schemes={"https"},
    url_relative="deny",
    link_rel=None,
)


def sanitised(html: str) -> str:
    """Return a well-formed fragment of HTML with nothing but paragraphs, lists, line breaks and https links.

    Text is kept; what scripts, styles and the like contain is not. Links open a new tab. Control characters, and those
    that rearrange text, are removed.
    """
    clean = _CLEANER.clean(html[:MAX_LENGTH].encode(errors="replace").decode())
    return _CONTROLS.sub("", without_direction("".join(_links_only_with_address(clean))))


def _links_only_with_address(clean: str) -> Iterator[str]:
    """Yield the HTML without links that lost their address, and without links in links."""
    is_shown: list[bool] = []
    """For each open link, outermost first."""
    for part in _LINKS.split(clean):
        if part == "</a>":
            if is_shown.pop():
                yield part
        elif not part.startswith("<a"):
            yield part
        else:
            is_shown.append(part != "<a>" and not any(is_shown))
            if is_shown[-1]:
                yield f"{part[:-1]} {_IN_A_NEW_TAB}>"
