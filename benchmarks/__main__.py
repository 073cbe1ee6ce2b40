"""``make bench``: measures what the design promises and prints each figure beside its goal.

Machines differ and are noisy: read ratios and medians, and compare runs on one machine only.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from sandbox.certificates import ensure_certificates

# aiohttp reads the trusted authorities once, when it is imported; so this comes before everything of the product.
os.environ["SSL_CERT_FILE"] = str(ensure_certificates().authority)


def main() -> None:
    """Measure and print."""
    from benchmarks import imports, tickets

    print(f"{'figure':58} {'measured':>24}   goal")
    for line in imports.measure():
        print(line, flush=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        asyncio.run(tickets.measure(Path(directory), lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
