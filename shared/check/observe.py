"""Looking at something that may not answer: what was observed, or why nothing was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.errors import ConnectorError
from shared.log import log_bug
from shared.value_object import value_object


@value_object
class Unobserved:
    """Why something could not be observed.

    Attributes:
        reason: One of :data:`shared.check.findings.ANY_CHECK`.
        error: The answer of ServiceNow or our storage; None if there was none.
    """

    reason: str
    error: ConnectorError | None = None


type Observed[Value] = Value | Unobserved


async def observe[Value](look: Callable[[], Awaitable[Value]], limit_s: float) -> Observed[Value]:
    """Return what was observed, or why nothing was."""
    try:
        async with asyncio.timeout(limit_s):
            return await look()
    except ConnectorError as error:
        return Unobserved("no_answer", error)
    except TimeoutError:
        return Unobserved("too_slow")
    except Exception as error:  # noqa: BLE001 - one failed look must not spoil the others
        log_bug("unexpected_error", error)
        return Unobserved("unexpected")
