"""``make bench``: measures what the design promises and prints each figure beside its goal.

Machines differ and are noisy: read ratios and medians, and compare runs on one machine only.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox.certificates import ensure_certificates

# aiohttp reads the trusted authorities once, when it is imported, so this comes before all imports of the product.
os.environ["SSL_CERT_FILE"] = str(ensure_certificates().authority)

from benchmarks.report import Figure, closing, heading

CONNECTORS = 15
"""Number of storage accounts and vaults: one for each part."""
SYNCHRONISED = ((100, 100, None), (3_000, 3_000, 2_500), (10_000, 100_000, 1_000))
"""Tickets here, tickets in ServiceNow, and the changes per second that the design promises."""


def figures() -> Iterator[Figure | str]:
    """Measure everything, one part after another; a text is a line of a table that explains the figures before it."""
    from benchmarks import (
        bulk,
        connections,
        create,
        entity_transactions,
        fan_out,
        home,
        idle_day,
        imports,
        lists,
        memory,
        package,
        portfolio,
        reading,
        recommendations,
        sync,
        verification,
    )
    from sandbox.world import running_world

    yield from imports.measure(runs=9)
    yield from package.measure()
    truth = verification.measure(range(verification.TENANT_YEARS))
    yield from truth.figures()
    yield from truth.lines()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        directory = Path(name)
        with running_world(directory, apps=CONNECTORS) as world:
            yield from asyncio.run(memory.measure(world, hanging=50, answering=24))
            yield from asyncio.run(create.measure(world, creates=300, warm_up=20))
            yield from asyncio.run(entity_transactions.measure(world, read=3_000))
            yield from asyncio.run(connections.measure(world, few=10, many=1_000, counted=100_000))
            yield from asyncio.run(fan_out.measure(world, connections=1_000, hanging=50, latency_s=1.0, pace=1.0))
            yield from asyncio.run(idle_day.measure(world, minutes=idle_day.DAY))
            yield from asyncio.run(home.measure(world, connections=30, tickets=100, visits=9))
            yield from asyncio.run(portfolio.measure(world, customers=1_000, visits=9))
            yield from asyncio.run(
                lists.measure(world, sizes=(3_000, 100_000), connections=30, each=100, collected=3_000)
            )
            yield from asyncio.run(reading.measure(world, days=5))
            yield from asyncio.run(bulk.measure(world, tickets=100, visits=5))
            yield from asyncio.run(recommendations.measure(world, controls=460, days=15, runs=9))
            for tickets, in_servicenow, changes_per_s in SYNCHRONISED:
                yield from asyncio.run(
                    sync.measure(
                        world, directory, tickets=tickets, in_servicenow=in_servicenow, changes_per_s=changes_per_s
                    )
                )


def main() -> None:
    """Measure and print."""
    print(heading())
    measured = []
    for each in figures():
        if isinstance(each, Figure):
            measured.append(each)
        print(each.line() if isinstance(each, Figure) else each, flush=True)
    for line in closing(measured):
        print(line)


if __name__ == "__main__":
    main()
