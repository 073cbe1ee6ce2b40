"""Names of Microsoft's categories, tiers and threats in a person's language."""

from __future__ import annotations

from typing import Final

from shared.words.language import Language

_OUR_CATEGORIES: Final = {"device": "devices"}
"""Microsoft's categories that we call something else."""


def category_name(value: str, t: Language) -> str:
    """Return the name of one of Microsoft's categories; as it came if it is none that we know."""
    code = _code(value)
    return t.get(f"category.{_OUR_CATEGORIES.get(code, code)}") or value


def tier_name(value: str, t: Language) -> str:
    """Return the name of one of Microsoft's tiers; as it came if it is none that we know."""
    return t.get(f"tier.{_code(value)}") or value


def threat_name(value: str, t: Language) -> str:
    """Return the name of one of Microsoft's threats; as it came if it is none that we know."""
    return t.get(f"threat.{_code(value)}") or value


def _code(value: str) -> str:
    """Return a word of Microsoft's without case, blanks and hyphens: its spelling varies."""
    return "".join(filter(str.isalnum, value.lower()))
