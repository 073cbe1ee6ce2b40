"""The host's own endpoints and its home page (Functions host §A10 to §A15, §T16, §T17)."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic
from typing import Protocol

from sandbox.functions_host.functions import FunctionTable
from sandbox.functions_host.keys import Keys, presented_key
from sandbox.functions_host.messages import FunctionMetadata
from sandbox.functions_host.request import Request
from sandbox.functions_host.response import Response, as_json

HOME_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Your Functions app is up and running</title></head>
<body><h1>Your Functions app is up and running</h1></body></html>
"""

_CHALLENGE = ("WWW-Authenticate", "Bearer")


class RunningHost(Protocol):
    """What the endpoints need from the host."""

    host_id: str
    table: FunctionTable
    errors: tuple[str, ...]
    keys: Keys
    host_json_text: str

    @property
    def worker_process_id(self) -> int | None:
        """The process in which the functions run."""

    def start_function(self, function: FunctionMetadata, text: str) -> None:
        """Begin a call without waiting for it."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """The endpoints of one host; ``started_at`` is a reading of the monotonic clock."""

    host: RunningHost
    started_at: float

    async def respond(
        self, request: Request, read_body: Callable[[], Awaitable[bytes]], *, is_platform_call: bool
    ) -> Response | None:
        """Answer, or return None if no built-in endpoint matches; functions are next."""
        path = request.path.rstrip("/").lower()
        match path.split("/")[1:]:
            case ["admin", "host", "ping"]:
                no_store = (("Cache-Control", "no-store,no-cache"), ("Pragma", "no-cache"))
                return Response(200, no_store) if request.method in ("GET", "POST") else None
            case ["admin", "warmup"] | ["admin", "instance", "http-health"]:
                return Response(200)
            case ["admin", "vfs", *_]:
                return Response(403) if self._is_known(request) else _unauthorized()
            case ["runtime", "webhooks", *rest] if rest:
                return self._refusal(request) or Response(404)
            case ["admin", "host", *rest] if (page := self._host_page(rest)) is not None:
                if rest == ["status"] and is_platform_call:
                    return page
                return self._refusal(request) or page
            case ["admin", "functions", *rest] if len(rest) < 3:
                return self._refusal(request) or await self._function_page(request, rest, read_body)
        return None

    def home_page(self, *, is_disabled: bool) -> Response:
        """Answer ``/`` if no function does (Functions host §R51, §R52)."""
        if is_disabled:
            return Response(204)
        headers = (("Content-Type", "text/html"), ("Content-Length", str(len(HOME_PAGE))))
        return Response(200, headers, HOME_PAGE)

    def _is_known(self, request: Request) -> bool:
        return self.host.keys.is_known(presented_key(request.headers, request.query))

    def _refusal(self, request: Request) -> Response | None:
        if self.host.keys.is_master(presented_key(request.headers, request.query)):
            return None
        return Response(403) if self._is_known(request) else _unauthorized()

    def _host_page(self, rest: list[str]) -> Response | None:
        match rest:
            case ["status"]:
                return as_json(self._status())
            case ["keys"]:
                return _key_list({"default": self.host.keys.host})
            case ["systemkeys", "_master"]:
                return as_json({"name": "_master", "value": self.host.keys.master})
            case ["config"]:
                return as_json({"hostJson": self.host.host_json_text})
            case ["extensions"]:
                return as_json({"extensions": []})
            case ["processes"]:
                return as_json([{"id": self.host.worker_process_id}])
            case ["drain", "status"]:
                return as_json({"state": "Disabled", "outstandingInvocations": 0, "outstandingRetries": 0})
        return None

    def _status(self) -> Mapping[str, object]:
        library = version("azure-functions-runtime")
        errors = {"errors": list(self.host.errors)} if self.host.errors else {}
        return {
            "id": self.host.host_id,
            "state": "Error" if self.host.errors else "Running",
            "version": library,
            "versionDetails": f"sandbox over azure-functions-runtime {library}",
            "platformVersion": "",
            "instanceId": "",
            "computerName": socket.gethostname(),
            "processUptime": int((monotonic() - self.started_at) * 1000),
            "functionAppContentEditingState": "NotAllowed",
            **errors,
        }

    async def _function_page(
        self, request: Request, rest: list[str], read_body: Callable[[], Awaitable[bytes]]
    ) -> Response:
        if not rest:
            return as_json([_described(function) for function in self.host.table.all])
        in_error = {name.lower(): why for name, why in (self.host.table.in_error or {}).items()}
        function = self.host.table.find(rest[0])
        if rest[1:] == ["status"] and rest[0] in in_error:
            return as_json({"errors": [in_error[rest[0]]]})
        if function is None:
            return Response(404)
        match request.method, rest[1:]:
            case "POST", []:
                return self._start(function, request, await read_body())
            case _, []:
                return as_json(_described(function))
            case _, ["status"]:
                return as_json({})
            case _, ["keys"]:
                return _key_list({"default": self.host.keys.of_function(function.name)})
        return Response(404)

    def _start(self, function: FunctionMetadata, request: Request, body: bytes) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Response(415)
        try:
            content = json.loads(body)
        except ValueError:
            return Response(400)
        given = content.get("input", "") if isinstance(content, dict) else ""
        self.host.start_function(function, given if isinstance(given, str) else json.dumps(given))
        return Response(202)


def _unauthorized() -> Response:
    return Response(401, (_CHALLENGE,))


def _described(function: FunctionMetadata) -> Mapping[str, object]:
    bindings = [dict(binding) for binding in function.bindings]
    return {"name": function.name, "config": {"bindings": bindings}, "isDisabled": False, "language": "python"}


def _key_list(keys: Mapping[str, str]) -> Response:
    return as_json({"keys": [{"name": name, "value": value} for name, value in keys.items()], "links": []})
