"""The cost of a piece of work: wall time, this process's processor time, requests to tables, ServiceNow and Graph."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from azure.core.pipeline.transport import AioHttpTransport

LOGGER = logging.getLogger("connector")


class Effort:
    """The cost of the work in a ``with`` block of :func:`measured`; complete when the block has ended.

    Attributes:
        wall_s: Elapsed time.
        processor_s: Processor time of this process, user and system; servers run in their own processes.
        table_requests: HTTP requests by table name, ``$batch`` for entity transactions; retries count.
        servicenow_requests: HTTP requests.
        servicenow_s: Time that those took, added up.
        graph_requests: HTTP requests.
    """

    def __init__(self) -> None:
        self.wall_s = 0.0
        self.processor_s = 0.0
        self.table_requests: Counter[str] = Counter()
        self.servicenow_requests = 0
        self.servicenow_s = 0.0
        self.graph_requests = 0

    @property
    def own_s(self) -> float:
        """Wall time without the requests to ServiceNow."""
        return self.wall_s - self.servicenow_s


@contextmanager
def measured(tables_url: str) -> Iterator[Effort]:
    """Measure the work in the block.

    Requests to tables are counted where the Azure SDK hands them to the network, so none is missed, whatever sends it.
    Those to ServiceNow and Microsoft Graph are read from the log, which has one record for each.
    """
    effort = Effort()
    send = AioHttpTransport.send

    async def counted(transport: AioHttpTransport, request: Any, **options: Any) -> Any:
        if request.url.startswith(tables_url):
            name = urlsplit(request.url.removeprefix(tables_url)).path.strip("/").partition("(")[0]
            effort.table_requests[name] += 1
        return await send(transport, request, **options)

    with mock.patch.object(AioHttpTransport, "send", counted), _log_read_by(_RequestReader(effort)):
        wall, processor = time.perf_counter(), time.process_time()
        try:
            yield effort
        finally:
            effort.wall_s, effort.processor_s = time.perf_counter() - wall, time.process_time() - processor


class _RequestReader(logging.Handler):
    def __init__(self, effort: Effort) -> None:
        super().__init__()
        self._effort = effort

    def emit(self, record: logging.LogRecord) -> None:
        line = json.loads(record.getMessage())
        match line["event"]:
            case "servicenow_request":
                self._effort.servicenow_s += line["duration_s"]
                self._effort.servicenow_requests += 1
            case "graph_request":
                self._effort.graph_requests += 1


@contextmanager
def _log_read_by(handler: logging.Handler) -> Iterator[None]:
    """Send every log record to this handler only."""
    before = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.level, LOGGER.propagate = before


def median_ms(efforts: Iterable[Effort], seconds: Callable[[Effort], float]) -> float:
    """Return the median time in milliseconds."""
    return statistics.median(map(seconds, efforts)) * 1000
