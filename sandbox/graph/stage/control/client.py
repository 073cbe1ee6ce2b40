"""A synchronous client for the control API of a simulator: for tests, demonstrations and the walk-through."""

import ssl
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, Self

import httpx

from sandbox.certificates import ensure_certificates

_TIMEOUT_S = 60.0


class ControlError(Exception):
    """The control API refused a request; the text says why."""


class ControlClient:
    """Talks to `/control` of one simulator.

    Args:
        base_url: Address of the simulator.
        transport: A way to reach it without a socket; by default one that trusts the sandbox's certificates.
    """

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        if transport is None:
            trusted = ssl.create_default_context(cafile=ensure_certificates().authority)
            transport = httpx.HTTPTransport(verify=trusted, trust_env=False)
        self._client = httpx.Client(
            base_url=f"{self.base_url}/control", timeout=_TIMEOUT_S, trust_env=False, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def health(self) -> dict[str, Any]:
        """Return the simulator's time and the ids of its tenants."""
        return self._ask("GET", "/health")

    def reset(self) -> None:
        """Reset faults, requests, throttling, switches and tenants, and set the clock to real time."""
        self._ask("POST", "/reset")

    # Clock, switches and faults

    def now(self) -> datetime:
        """Return the simulator's time (aware UTC)."""
        return datetime.fromisoformat(self._ask("GET", "/clock")["now"])

    def set_clock(self, at: datetime) -> None:
        """Set the clock to an aware datetime. Only forward: a day that has passed stays."""
        self._ask("PUT", "/clock", {"now": at.isoformat()})

    def stop_clock(self, at: datetime | None = None) -> None:
        """Stop the clock, at `at` or at the present."""
        self._ask("PUT", "/clock", {"running": False} | ({"now": at.isoformat()} if at else {}))

    def advance(self, *, days: float = 0, hours: float = 0) -> datetime:
        """Let time pass, with the snapshots of the days between; return the new time."""
        return datetime.fromisoformat(self._ask("POST", "/clock/advance", {"days": days, "hours": hours})["now"])

    def switches(self) -> dict[str, bool | int | str]:
        """Return every switch and its value."""
        return dict(self._ask("GET", "/switches"))

    def set_switches(self, values: Mapping[str, bool | int | str]) -> None:
        """Turn switches (see :mod:`sandbox.graph.engine.switches`)."""
        self._ask("PATCH", "/switches", dict(values))

    def set_fault(self, kind: str, **options: Any) -> str:
        """Set a fault (see :class:`sandbox.graph.stage.faults.fault.Fault` for its options) and return its id."""
        return str(self._ask("POST", "/faults", {"kind": kind, **options})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the set faults, with the number of requests that each has `taken`."""
        return list(self._ask("GET", "/faults")["faults"])

    def remove_fault(self, fault_id: str) -> None:
        """Remove a fault."""
        self._ask("DELETE", f"/faults/{fault_id}")

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._ask("DELETE", "/faults")

    # Tenants

    def tenants(self) -> list[dict[str, Any]]:
        """Return every tenant: id, name, cloud, licences, population, days with a snapshot, newest score."""
        return list(self._ask("GET", "/tenants")["tenants"])

    def tenant(self, tenant_id: str) -> dict[str, Any]:
        """Return one tenant."""
        return self._ask("GET", f"/tenants/{tenant_id}")

    def add_tenant(self, tenant_id: str, name: str, **plan: Any) -> dict[str, Any]:
        """Add a tenant, or replace it (see :class:`sandbox.graph.stage.seed.tenants.Plan` for `plan`)."""
        return self._ask("POST", "/tenants", {"tenant_id": tenant_id, "name": name, **plan})

    def controls(self, tenant_id: str) -> dict[str, dict[str, Any]]:
        """Return a tenant's controls by id, each with its true state and its newest score."""
        return {control["id"]: control for control in self._ask("GET", f"/tenants/{tenant_id}/controls")["controls"]}

    def fix(self, tenant_id: str, control: str) -> None:
        """Put a control in place everywhere. Its points follow when Microsoft has measured it."""
        self._set_share(tenant_id, control, 1)

    def half_fix(self, tenant_id: str, control: str) -> None:
        """Put a control in place for half of what is missing."""
        self._set_share(tenant_id, control, "half")

    def undo(self, tenant_id: str, control: str, *, share: float = 0) -> None:
        """Undo a control, so that only a share (0 to 1) of it is in place."""
        self._set_share(tenant_id, control, share)

    def decide(
        self,
        tenant_id: str,
        control: str,
        state: Literal["Default", "Ignored", "ThirdParty", "Reviewed"],
        *,
        assigned_to: str | None = None,
        comment: str | None = None,
        updated_by: str | None = None,
    ) -> None:
        """Give a control a state, as a person does in the portal; for a device control, except all devices."""
        people = {"assigned_to": assigned_to, "comment": comment, "updated_by": updated_by}
        self._ask("POST", f"/tenants/{tenant_id}/decide", {"control": control, "state": state, **people})

    def grow(
        self,
        tenant_id: str,
        *,
        users: int = 0,
        admins: int = 0,
        domains: int = 0,
        devices: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Add objects that do not comply, devices by platform; negative numbers remove some. Returns the tenant."""
        body = {"users": users, "admins": admins, "domains": domains, "devices": dict(devices or {})}
        return self._ask("POST", f"/tenants/{tenant_id}/grow", body)

    def add_licence(self, tenant_id: str, name: str) -> dict[str, Any]:
        """Add a licence (see :data:`sandbox.graph.engine.licences.LICENCES`) or connect an application."""
        return self._ask("POST", f"/tenants/{tenant_id}/licences", {"add": [name]})

    def remove_licence(self, tenant_id: str, name: str) -> dict[str, Any]:
        """Remove a licence: its controls stay listed and lose their scores."""
        return self._ask("POST", f"/tenants/{tenant_id}/licences", {"remove": [name]})

    def miss_day(self, tenant_id: str, day: date) -> None:
        """Let a day, past or future, have no snapshot."""
        self._ask("POST", f"/tenants/{tenant_id}/missing-days", {"day": day.isoformat()})

    # The catalogue

    def add_control(self, tenant_id: str, control: str, *, title: str, service: str, max_score: float = 5) -> None:
        """Add a control, not in place."""
        body = {"control": control, "title": title, "service": service, "max_score": max_score}
        self._ask("POST", f"/tenants/{tenant_id}/controls/add", body)

    def change_control(self, tenant_id: str, control: str, **changes: Any) -> None:
        """Change `max_score`, `title`, `deprecated`, a text, or another field of :class:`Control`."""
        self._ask("POST", f"/tenants/{tenant_id}/controls/change", {"control": control, "changes": changes})

    def remove_control(self, tenant_id: str, control: str) -> None:
        """Remove a control from profiles and, with the next snapshot, from scores."""
        self._ask("POST", f"/tenants/{tenant_id}/controls/remove", {"control": control})

    def rename_control(self, tenant_id: str, control: str, *to: str) -> None:
        """Give a control another id; with several, split it."""
        self._ask("POST", f"/tenants/{tenant_id}/controls/rename", {"control": control, "to": list(to)})

    # The request record

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Return the recorded requests whose path matches a regular expression (see `RecordedRequest`)."""
        return list(self._ask("GET", "/requests", parameters={"path": path})["requests"])

    def clear_requests(self) -> None:
        """Forget the requests."""
        self._ask("DELETE", "/requests")

    def _set_share(self, tenant_id: str, control: str, share: float | Literal["half"]) -> None:
        self._ask("POST", f"/tenants/{tenant_id}/share", {"control": control, "share": share})

    def _ask(
        self, method: str, path: str, body: object = None, *, parameters: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        response = self._client.request(method, path, json=body, params=parameters)
        answer: dict[str, Any] = response.json()
        if response.is_error:
            raise ControlError(f"{method} {path}: {answer['error']}")
        return answer
