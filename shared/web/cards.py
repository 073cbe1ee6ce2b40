"""What a card of the home page shows of tickets' outcomes."""

from __future__ import annotations

from typing import Final

from shared.tickets.outcomes import Outcome

SHOWN_OUTCOMES: Final = (Outcome.WAITING, Outcome.VERIFIED, Outcome.NOT_FIXED, Outcome.REGRESSED)
