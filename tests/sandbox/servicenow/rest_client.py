"""Calls an instance's REST APIs as any of its people, without a socket or credentials."""

from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from sandbox.in_process import InProcessTransport
from sandbox.servicenow.engine.instance import Caller, Instance
from sandbox.servicenow.wire.rest.routes import rest_routes

_USER = "x-test-user"
BASE_URL = "https://instance.service-now.com"


@dataclass
class RestClient:
    """Each method makes one request as `user` and keeps no cookies."""

    instance: Instance
    transport: InProcessTransport

    @classmethod
    def of(cls, instance: Instance) -> "RestClient":
        async def authenticate(request: Request) -> Caller | Response:
            return instance.caller(request.headers.get(_USER, "")) or Response(status_code=401)

        return cls(instance, InProcessTransport(Starlette(routes=rest_routes(instance, authenticate))))

    def send(
        self,
        method: str,
        path: str,
        parameters: dict[str, str] | None = None,
        *,
        user: str = "admin",
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> httpx.Response:
        with httpx.Client(base_url=BASE_URL, transport=self.transport) as client:
            return client.request(
                method, path, params=parameters, headers={_USER: user, **(headers or {})}, **arguments
            )

    def rows(self, table: str, query: str = "", *, user: str = "admin", **parameters: str) -> list[dict[str, Any]]:
        """List rows; parameters are named without `sysparm_`."""
        sent = {"sysparm_query": query} | {f"sysparm_{name}": value for name, value in parameters.items()}
        response = self.send("GET", f"/api/now/table/{table}", sent, user=user)
        assert response.status_code == 200, response.text
        rows: list[dict[str, Any]] = response.json()["result"]
        return rows

    def values(self, table: str, query: str, column: str, *, user: str = "admin") -> list[Any]:
        """Return one column of the matching rows, in order."""
        return [row.get(column) for row in self.rows(table, query, user=user, fields=column)]

    def create(self, table: str, *, user: str = "admin", **values: Any) -> dict[str, Any]:
        response = self.send("POST", f"/api/now/table/{table}", user=user, json=values)
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json()["result"]
        return created

    def change(self, table: str, sys_id: str, *, user: str = "admin", **values: Any) -> httpx.Response:
        return self.send("PATCH", f"/api/now/table/{table}/{sys_id}", user=user, json=values)
