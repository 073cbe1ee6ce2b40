"""Metrics and traces through OpenTelemetry's API, at no cost while it is off.

An operator switches OpenTelemetry on for the Functions worker (``docs/operations.md``). The worker then imports it
before it indexes the app, and nothing else imports it so early. So OpenTelemetry is on if it is already imported;
otherwise nothing here imports it. The worker also makes the incoming ``traceparent`` of each invocation the current
context, so that the spans of an invocation are children of the request that the host records.

Attributes obey the rule of the log: ids, counts, codes, durations; never a secret, a ticket's text or a person's name.
A span has the fields of the :func:`shared.log.log_context` in which it begins; a metric has the connection id from it.
If a later run delivers a ticket, that run has its own trace; the ticket id is in both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from shared.errors import ConnectorError
from shared.log import Plain, fields_in_context
from shared.value_object import value_object

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import Tracer

SCOPE: Final = "servicenow-tickets"
"""The instrumentation scope of everything recorded here."""
SUPPRESSED: Final = "suppress_instrumentation"
"""The key that silences OpenTelemetry's instrumentations of libraries."""
DURATIONS_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""Bounds of a histogram's buckets, from a second to a day."""


class Instrument(Enum):
    """How the values of a metric are combined."""

    SUM = "sum"
    DISTRIBUTION = "distribution"
    LATEST = "latest"


@value_object
class Metric:
    """A figure over time.

    Attributes:
        unit: As UCUM writes it: ``s`` seconds, ``d`` days, ``{ticket}`` a count of tickets.
    """

    name: str
    instrument: Instrument
    unit: str
    description: str

    def record(self, value: float = 1, **attributes: str) -> None:
        """Record one value. An attribute may only have few different values, so it is never a ticket's id."""
        if _recorder is not None:
            connection_id = fields_in_context().get("connection_id")
            connection = {} if connection_id is None else {"connection_id": connection_id}
            _recorder.measure(self, value, {**connection, **attributes})


TICKETS_CREATED: Final = Metric("tickets.created", Instrument.SUM, "{ticket}", "Tickets kept, by kind and portal.")
TICKETS_DELIVERED: Final = Metric("tickets.delivered", Instrument.SUM, "{ticket}", "Tickets that reached ServiceNow.")
TICKETS_FAILED: Final = Metric("tickets.failed", Instrument.SUM, "{ticket}", "Tickets refused for good, by code.")
UPDATES_SENT: Final = Metric("updates.sent", Instrument.SUM, "{update}", "Changes of records carried out, by kind.")
UPDATES_REFUSED: Final = Metric("updates.refused", Instrument.SUM, "{update}", "Changes refused, by kind and code.")
DELIVERY_AGE: Final = Metric(
    "tickets.delivery_age_s", Instrument.DISTRIBUTION, "s", "Time from a ticket's creation to its delivery."
)
SYNC_LAG: Final = Metric("sync.lag_s", Instrument.LATEST, "s", "Time since the last complete synchronisation.")
CHANGES_APPLIED: Final = Metric("sync.changes_applied", Instrument.SUM, "{ticket}", "Tickets changed by ServiceNow.")
SERVICENOW_REQUESTS: Final = Metric(
    "servicenow.requests", Instrument.SUM, "{request}", "Requests to ServiceNow, by table and outcome."
)
RATE_LIMIT_WAIT: Final = Metric(
    "servicenow.rate_limit_wait_s",
    Instrument.DISTRIBUTION,
    "s",
    "The wait that ServiceNow asked for with a 429; 0 when it named none.",
)
GRAPH_REQUESTS: Final = Metric(
    "graph.requests", Instrument.SUM, "{request}", "Requests to Microsoft Graph, by tenant, list and outcome."
)
GRAPH_THROTTLED_WAIT: Final = Metric(
    "graph.throttled_wait_s",
    Instrument.DISTRIBUTION,
    "s",
    "The wait that Microsoft Graph asked for when it was busy; 0 when it named none.",
)
TOKENS_REFRESHED: Final = Metric("tokens.refreshed", Instrument.SUM, "{token}", "Access tokens that were refreshed.")
CONSENT_DAYS_LEFT: Final = Metric(
    "connections.consent_days_left", Instrument.LATEST, "d", "Whole days until a connection's consent ends."
)


class Span(Protocol):
    """A piece of work within a trace."""

    def note(self, **attributes: Plain | None) -> None:
        """Add attributes, without those that are None."""
        ...

    def failed(self, code: str) -> None:
        """Mark the work as failed."""
        ...


class Recorder(Protocol):
    """Where metrics and spans go."""

    def measure(self, metric: Metric, value: float, attributes: Mapping[str, Plain]) -> None:
        """Record one value of a metric."""
        ...

    def span(self, name: str, attributes: Mapping[str, Plain], *, to: str | None) -> AbstractContextManager[Span]:
        """Begin a span, which ends with the block."""
        ...


@contextmanager
def span(name: str, *, to: str | None = None) -> Iterator[Span]:
    """Make the block a span of the current trace; an exception that leaves the block marks it as failed.

    Args:
        name: What the block does; one of a few names.
        to: The service, if the block is one request to it. Spans of the libraries below are then suppressed: they
            would contain the whole URL, and some of ours contain an e-mail address.
    """
    if _recorder is None:
        yield _NOTHING
        return
    with _recorder.span(name, fields_in_context(), to=to) as begun:
        yield begun


def record_with(recorder: Recorder | None) -> Recorder | None:
    """Send metrics and spans to this recorder from now on, or nowhere; return the previous recorder."""
    global _recorder
    before, _recorder = _recorder, recorder
    return before


class OpenTelemetryRecorder:
    """Records through OpenTelemetry's API, with the SDK that the process has configured."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._meter = meter
        self._measures: dict[Metric, Callable[[float, Mapping[str, Plain]], None]] = {}

    def measure(self, metric: Metric, value: float, attributes: Mapping[str, Plain]) -> None:
        """See :class:`Recorder`."""
        if metric not in self._measures:
            self._measures[metric] = self._instrument(metric)
        self._measures[metric](value, attributes)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Plain], *, to: str | None) -> Iterator[Span]:
        """See :class:`Recorder`."""
        from opentelemetry import context, trace

        # INTERNAL, not SERVER: the host records the request itself, so it would be counted twice.
        kind = trace.SpanKind.INTERNAL if to is None else trace.SpanKind.CLIENT
        peer = {} if to is None else {"peer.service": to}
        with self._tracer.start_as_current_span(
            name,
            kind=kind,
            attributes={**attributes, **peer},
            # The text of an exception could contain anything.
            record_exception=False,
            set_status_on_exception=False,
        ) as begun:
            recorded = _RecordedSpan(begun)
            quiet = context.attach(context.set_value(SUPPRESSED, True)) if to is not None else None
            try:
                yield recorded
            except BaseException as error:
                recorded.failed(error.code if isinstance(error, ConnectorError) else type(error).__qualname__)
                raise
            finally:
                if quiet is not None:
                    context.detach(quiet)

    def _instrument(self, metric: Metric) -> Callable[[float, Mapping[str, Plain]], None]:
        match metric.instrument:
            case Instrument.SUM:
                return self._meter.create_counter(metric.name, metric.unit, metric.description).add
            case Instrument.LATEST:
                return self._meter.create_gauge(metric.name, metric.unit, metric.description).set
            case Instrument.DISTRIBUTION:
                return self._meter.create_histogram(
                    metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=DURATIONS_S
                ).record


class _RecordedSpan:
    def __init__(self, begun: OpenTelemetrySpan) -> None:
        self._begun = begun

    def note(self, **attributes: Plain | None) -> None:
        self._begun.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def failed(self, code: str) -> None:
        from opentelemetry.trace import StatusCode

        self._begun.set_status(StatusCode.ERROR)
        self._begun.set_attribute("error.type", code)


class _NoSpan:
    def note(self, **attributes: Plain | None) -> None:
        pass

    def failed(self, code: str) -> None:
        pass


_NOTHING: Final = _NoSpan()


def _switched_on() -> Recorder | None:
    if "opentelemetry" not in sys.modules:
        return None
    from opentelemetry import metrics, trace

    return OpenTelemetryRecorder(trace.get_tracer(SCOPE), metrics.get_meter(SCOPE))


_recorder: Recorder | None = _switched_on()
