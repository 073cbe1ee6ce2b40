"""A value that must not be shown."""

from __future__ import annotations

from dataclasses import field

from shared.value_object import value_object


@value_object
class Secret:
    """A secret text: it appears as ``***`` everywhere, and only :meth:`reveal` returns the text."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret text; call it only where it is sent or stored in Key Vault."""
        return self._text

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"
