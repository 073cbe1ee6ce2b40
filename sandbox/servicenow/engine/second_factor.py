"""Multi-factor authentication: who needs a second factor, and whose code is right (ServiceNow §1.9)."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.glide_time import from_glide
from sandbox.servicenow.engine.instance import Instance

EXEMPTED_GROUP = "MFA Exempted User Group"
"""Its members need no second factor."""
EXEMPTED_ROLE = "snc_external"
_STEP_S = 30
_TABLE = "user_multifactor_auth"


def one_time_code(secret: str, at: datetime) -> str:
    """Return the six digits that an authenticator app with this secret (base32) shows at a time (RFC 6238).

    >>> from datetime import UTC
    >>> one_time_code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", datetime.fromtimestamp(59, UTC))
    '287082'
    """
    step = int(at.timestamp()) // _STEP_S
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class SecondFactors:
    """The second factors of the instance's users."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._records = instance.records

    def is_needed(self, user: Row) -> bool:
        """Say whether the user needs a second factor after the password: by the policy, or because it is set so."""
        if user["enable_multifactor_authn"] == "true":
            return True
        return self._instance.properties.flag("simulator.mfa.enforced") and not self._is_exempted(user)

    def secret_of(self, user: Row) -> str | None:
        """Return the secret that the user has set up, or None."""
        row = self._row(user)
        return row["multi_factor_secret"] if row is not None and row["validated"] == "true" else None

    def enrol(self, user: Row, secret: str = "") -> str:
        """Set up a secret for the user, by default a new one, and return it."""
        secret = secret or new_secret()
        self._keep(user, {"multi_factor_secret": secret, "validated": "true"})
        return secret

    def is_right(self, secret: str, code: str) -> bool:
        """Say whether a code fits now; a clock may differ by 30 seconds."""
        now = self._instance.clock.now()
        fits = [one_time_code(secret, now + timedelta(seconds=skew_s)) for skew_s in (-_STEP_S, 0, _STEP_S)]
        return any(hmac.compare_digest(each.encode(), code.strip().encode()) for each in fits)

    def postponements_left(self, user: Row) -> int:
        """Return how often the user may still postpone the set-up; the first sight of it begins the days of grace."""
        row = self._row(user) or self._keep(user, {})
        days = self._instance.properties.number("glide.authenticate.multifactor.self_enrolment_period")
        if self._instance.clock.now() >= from_glide(row["sys_created_on"]) + timedelta(days=days):
            return 0
        allowed = self._instance.properties.number("glide.authenticate.multifactor.setup.bypass.count")
        return max(0, allowed - int(row["postponed"]))

    def postpone(self, user: Row) -> bool:
        """Postpone the set-up once; say whether that was allowed."""
        left = self.postponements_left(user)
        row = self._row(user)
        if left and row is not None:
            self._keep(user, {"postponed": str(int(row["postponed"]) + 1)})
        return left > 0

    def _is_exempted(self, user: Row) -> bool:
        groups = self._records.query("sys_user_grmember", f"user={user['sys_id']}")
        named = [self._records.get("sys_user_group", row["group"]) for row in groups]
        caller = self._instance.caller_of(user["sys_id"])
        is_external = caller is not None and EXEMPTED_ROLE in caller.roles
        return is_external or any(group is not None and group["name"] == EXEMPTED_GROUP for group in named)

    def _row(self, user: Row) -> Row | None:
        return self._records.first(_TABLE, f"user={user['sys_id']}")

    def _keep(self, user: Row, values: dict[str, str]) -> Row:
        row = self._row(user)
        if row is None:
            return self._records.insert(_TABLE, {"user": user["sys_id"], **values})
        kept = self._records.update(_TABLE, row["sys_id"], values)
        assert kept is not None, "the row is there"
        return kept


def new_secret() -> str:
    """Return a new secret for an authenticator app (base32)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()
