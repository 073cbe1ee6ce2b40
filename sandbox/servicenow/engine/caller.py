"""On whose behalf a request runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user, with the data that access rules and date display need.

    `time_zone` is an IANA name; empty means the instance's own (`glide.sys.default.tz`). `client_id` is the OAuth
    client of the token, `None` for basic authentication or a session cookie. `domain` and `domain_path` are the user's
    own, `visible_paths` those of the user's visibility domains (see :mod:`sandbox.servicenow.engine.data.domains`).
    """

    user_sys_id: str
    user_name: str
    roles: frozenset[str] = frozenset()
    time_zone: str = ""
    client_id: str | None = None
    domain: str = "global"
    domain_path: str = "/"
    visible_paths: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        """Say whether access rules never stop this caller."""
        return "admin" in self.roles


SYSTEM = Caller(user_sys_id="", user_name="system", roles=frozenset({"admin"}))
"""Scheduled jobs and the simulator itself."""
