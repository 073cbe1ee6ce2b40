"""What Microsoft recommends to the tenant of the browser tests: a list as its portal exports it."""

from __future__ import annotations

from typing import Final

MOST_POINTS: Final = ("Turn on Safe Attachments", "Quarantine malware at once")
"""The first rows of the list of recommendations; the tests of every page make tickets of them."""
TOGETHER: Final = ("Require phishing-resistant MFA", "Set a honeytoken account", "Rotate signing keys")
REFUSED: Final = "Enable customer lockbox"
OTHERS: Final = ("Enable mailbox auditing", "Publish SPF records")
_TITLES: Final = (*MOST_POINTS, *TOGETHER, REFUSED, *OTHERS)
LIST: Final = (
    "Rank,Recommended action,Score impact,Points achieved,Status,Category,Product,Have license?\n"
    + "".join(
        f"{rank},{title},+1.00 %,0/{10 - rank},To address,Apps,Defender for Office,Yes\n"
        for rank, title in enumerate(_TITLES, 1)
    )
).encode("utf-8-sig")
