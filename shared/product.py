"""The product's name and its version, as people see them: the one place that says them."""

from __future__ import annotations

from typing import Final

NAME: Final = "ServiceNow tickets for Microsoft 365"
"""The same in every language."""
VERSION: Final = "0.1.0"
"""Of the newest release that this code contains; a release's tag is this with a ``v`` in front."""
