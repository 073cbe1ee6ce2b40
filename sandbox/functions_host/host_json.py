"""``host.json``: the settings that the host reads from the app's folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self


class HostJsonError(ValueError):
    """``host.json`` cannot be used; the whole host is in error (Functions host §X5)."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """``extensions.queues``: for every queue trigger of the app (Storage Queue §3)."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0.0
    """How long a failed message stays hidden."""
    max_polling_interval_s: float = 60.0
    is_base64: bool = True

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Read the section; raises ValueError if a value is out of its bounds."""
        batch_size = _at_least(1, content.get("batchSize", 16))
        if batch_size > 32:
            raise ValueError("batchSize must be at most 32")
        threshold = content.get("newBatchThreshold", batch_size // 2 * (os.cpu_count() or 1))
        longest_s = time_span(str(content.get("maxPollingInterval", "00:01:00"))).total_seconds()
        if longest_s < 0.1:
            raise ValueError("maxPollingInterval must be at least 100 milliseconds")
        encoding = content.get("messageEncoding", "base64")
        if encoding not in ("base64", "none"):
            raise ValueError(f"messageEncoding {encoding!r} is unknown")
        return cls(
            batch_size=batch_size,
            new_batch_threshold=_at_least(0, threshold),
            max_dequeue_count=_at_least(1, content.get("maxDequeueCount", 5)),
            visibility_timeout_s=time_span(str(content.get("visibilityTimeout", "00:00:00"))).total_seconds(),
            max_polling_interval_s=longest_s,
            is_base64=encoding == "base64",
        )


@dataclass(frozen=True, slots=True)
class HostJson:
    """The settings that this host uses; it accepts and ignores other keys."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    strict_transport_security: str | None = None
    """The header's value; it is sent only over https."""
    function_timeout_s: float | None = 1800.0
    """None is no limit (Functions host §C6)."""
    max_outstanding_requests: int | None = None
    max_concurrent_requests: int | None = None
    queues: QueueSettings = field(default_factory=QueueSettings)

    @classmethod
    def read(cls, app_directory: Path) -> Self:
        """Read the file; without one, the defaults apply (Functions host §X6).

        Raises:
            HostJsonError: It is not JSON of the expected kind.
        """
        file = app_directory / "host.json"
        if not file.exists():
            return cls()
        try:
            content = json.loads(file.read_text(encoding="utf-8-sig"))
        except ValueError as error:
            raise HostJsonError(f"Unable to parse host configuration file '{file.name}': {error}") from error
        if not isinstance(content, dict) or content.get("version") != "2.0":
            raise HostJsonError("The host.json file is missing the required 'version' property \"2.0\".")
        try:
            return cls._from(content)
        except (TypeError, ValueError, AttributeError) as error:
            raise HostJsonError(f"host.json holds an unusable value: {error}") from error

    @classmethod
    def _from(cls, content: Mapping[str, Any]) -> Self:
        extensions = content.get("extensions", {})
        http = extensions.get("http", {})
        return cls(
            route_prefix=str(http.get("routePrefix", "api")).strip("/"),
            custom_headers={str(name): str(value) for name, value in http.get("customHeaders", {}).items()},
            strict_transport_security=_strict_transport_security(http.get("hsts", {})),
            function_timeout_s=_timeout_s(content.get("functionTimeout", "00:30:00")),
            max_outstanding_requests=_limit(http.get("maxOutstandingRequests", -1)),
            max_concurrent_requests=_limit(http.get("maxConcurrentRequests", -1)),
            queues=QueueSettings.read(extensions.get("queues", {})),
        )


_TIME_SPAN = re.compile(
    r"(?P<whole_days>\d+)|(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2}(?:\.\d{1,7})?))?"
)


def time_span(text: str) -> timedelta:
    """Read .NET's ``[d.]hh:mm[:ss[.fffffff]]``; a bare number is days (Functions host §P32).

    Raises:
        ValueError: It is not of that form.
    """
    found = _TIME_SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time span")
    if found["whole_days"]:
        return timedelta(days=int(found["whole_days"]))
    hours, minutes, seconds = int(found["hours"]), int(found["minutes"]), float(found["seconds"] or 0)
    if hours > 23 or minutes > 59 or seconds >= 60:
        raise ValueError(f"{text!r} is not a time span: a part is out of range")
    return timedelta(days=int(found["days"] or 0), hours=hours, minutes=minutes, seconds=seconds)


def _timeout_s(value: object) -> float | None:
    if value in ("-1", -1):
        return None
    timeout_s = time_span(str(value)).total_seconds()
    if timeout_s < 1:
        raise ValueError("functionTimeout must be at least one second")
    return timeout_s


def _strict_transport_security(hsts: Mapping[str, Any]) -> str | None:
    if not hsts.get("isEnabled", False):
        return None
    parts = [f"max-age={int(time_span(str(hsts.get('maxAge', '30'))).total_seconds())}"]
    parts += ["includeSubDomains"] if hsts.get("includeSubDomains", False) else []
    parts += ["preload"] if hsts.get("preload", False) else []
    return "; ".join(parts)


def _limit(value: object) -> int | None:
    limit = int(str(value))
    return None if limit < 0 else limit


def _at_least(least: int, value: object) -> int:
    given = int(str(value))
    if given < least:
        raise ValueError(f"{given} is less than {least}")
    return given
