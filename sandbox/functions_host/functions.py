"""Decides which indexed functions are served and which are refused: pure.

Source: Functions host §R1 to §R25, §T2 to §T4, §X3, §X4; Storage Queue §1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from sandbox.functions_host.messages import FunctionMetadata
from sandbox.functions_host.routing import Template, TemplateError
from sandbox.functions_host.schedule import Schedule, ScheduleError

type AuthorizationLevel = Literal["ANONYMOUS", "FUNCTION", "ADMIN"]


class HostError(Exception):
    """The app cannot be served at all: every path answers 503 (Functions host §X5)."""


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """A function behind a route."""

    metadata: FunctionMetadata
    template: Template
    methods: frozenset[str] | None
    """Upper case; None is every method (Functions host §R9)."""
    authorization_level: AuthorizationLevel

    def takes(self, method: str) -> bool:
        """Say whether the function accepts a method; HEAD and OPTIONS are never implied."""
        return self.methods is None or method in self.methods


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """A function with a schedule."""

    metadata: FunctionMetadata
    schedule: Schedule
    run_on_startup: bool
    use_monitor: bool


@dataclass(frozen=True, slots=True)
class QueueFunction:
    """A function behind a storage queue."""

    metadata: FunctionMetadata
    queue_name: str
    connection: str


@dataclass(frozen=True, slots=True)
class FunctionTable:
    """Everything that the host serves, and the functions in error with their reasons."""

    http: tuple[HttpFunction, ...] = ()
    timers: tuple[TimerFunction, ...] = ()
    queues: tuple[QueueFunction, ...] = ()
    in_error: Mapping[str, str] | None = None

    @property
    def all(self) -> tuple[FunctionMetadata, ...]:
        """The functions that can be called."""
        served: tuple[HttpFunction | TimerFunction | QueueFunction, ...] = (*self.http, *self.timers, *self.queues)
        return tuple(own.metadata for own in served)

    def find(self, name: str) -> FunctionMetadata | None:
        """Find a function by its name, ignoring case."""
        return next((function for function in self.all if function.name.lower() == name.lower()), None)

    def route(self, method: str, path: str) -> tuple[HttpFunction, dict[str, str]] | None:
        """Return the first function, by name, whose route and methods match, with the route's parameters.

        Nothing else decides precedence (Functions host §R1, §R2, §R6).
        """
        for function in self.http:
            if function.takes(method) and (values := function.template.match(path)) is not None:
                return function, values
        return None


class _FunctionError(ValueError):
    """One function is left out; the others are served."""


def tabulate(functions: Iterable[FunctionMetadata], route_prefix: str, settings: Mapping[str, str]) -> FunctionTable:
    """Decide what is served.

    Args:
        functions: As the worker indexed them.
        route_prefix: ``routePrefix`` of host.json.
        settings: The environment, for ``%SETTING%`` in timer schedules and names of queues.

    Raises:
        HostError: A route is malformed, or two names differ only by case.
    """
    http: list[HttpFunction] = []
    timers: list[TimerFunction] = []
    queues: list[QueueFunction] = []
    in_error: dict[str, str] = {}
    routes: list[tuple[str, HttpFunction]] = []
    ordered = sorted(functions, key=lambda function: function.name.upper())
    for earlier, later in pairwise(ordered):
        if earlier.name.upper() == later.name.upper():
            raise HostError(f"Sequence contains more than one matching element: {earlier.name}, {later.name}")
    for metadata in ordered:
        trigger_type = str(metadata.trigger["type"]).lower()
        try:
            if trigger_type == "httptrigger":
                route, function = _http_function(metadata, route_prefix, routes)
                routes.append((route, function))
                http.append(function)
            elif trigger_type == "timertrigger":
                timers.append(_timer_function(metadata, settings))
            elif trigger_type == "queuetrigger":
                queues.append(_queue_function(metadata, settings))
            else:
                in_error[metadata.name] = f"The binding type(s) '{metadata.trigger['type']}' are not registered."
        except _FunctionError as error:
            in_error[metadata.name] = str(error)
    return FunctionTable(tuple(http), tuple(timers), tuple(queues), in_error)


def _http_function(
    metadata: FunctionMetadata, route_prefix: str, earlier: Iterable[tuple[str, HttpFunction]]
) -> tuple[str, HttpFunction]:
    trigger = metadata.trigger
    route = str(trigger.get("route") or metadata.name)
    methods = frozenset(str(method).upper() for method in trigger.get("methods") or ()) or None
    if route.strip("/").lower().startswith(("admin", "runtime")):
        raise _FunctionError("The specified route conflicts with one or more built in routes.")
    for other_route, other in earlier:
        shares_method = methods is None or other.methods is None or methods & other.methods
        if other_route.lower() == route.lower() and shares_method:
            raise _FunctionError(
                f"The route specified conflicts with the route defined by function '{other.metadata.name}'."
            )
    try:
        template = Template.parse(f"{route_prefix}/{route}" if route_prefix else route)
    except TemplateError as error:
        raise HostError(f"The route template '{route}' of function '{metadata.name}' is malformed: {error}") from error
    level: AuthorizationLevel = trigger.get("authLevel", "FUNCTION")
    return route, HttpFunction(metadata, template, methods, level)


def _timer_function(metadata: FunctionMetadata, settings: Mapping[str, str]) -> TimerFunction:
    trigger = metadata.trigger
    text = resolve_settings(str(trigger["schedule"]), settings)
    try:
        schedule = Schedule.parse(text)
    except ScheduleError as error:
        raise _FunctionError(str(error)) from error
    return TimerFunction(
        metadata, schedule, bool(trigger.get("runOnStartup", False)), bool(trigger.get("useMonitor", True))
    )


_QUEUE_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.DOTALL)


def _queue_function(metadata: FunctionMetadata, settings: Mapping[str, str]) -> QueueFunction:
    """Read a queue trigger (Storage Queue §D1, §D4)."""
    name = resolve_settings(str(metadata.trigger["queueName"]), settings).lower()
    if _QUEUE_NAME.fullmatch(name) is None:
        raise _FunctionError(f"'{name}' is no name of a queue.")
    return QueueFunction(metadata, name, str(metadata.trigger.get("connection") or ""))


def resolve_settings(text: str, settings: Mapping[str, str]) -> str:
    """Replace each ``%NAME%`` with the setting of that name (Functions host §T2, §T3).

    Raises:
        ValueError: A setting is missing.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in settings:
            raise _FunctionError(f"'{found[0]}' does not resolve to a value.")
        return settings[found[1]]

    return re.sub(r"%([^%]+)%", value, text)
