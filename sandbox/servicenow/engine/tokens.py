"""Access and refresh tokens: rows of `oauth_credential`, so that changes there or in the client take effect at once.

All requests for the same user and client share one access token and one refresh token (ServiceNow §1.5).
"""

import math
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sandbox.servicenow.engine.accounts import may_call
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.glide_time import from_glide, to_glide
from sandbox.servicenow.engine.instance import Instance

type TokenType = Literal["access_token", "refresh_token"]

_OPAQUE = re.compile(r"[A-Za-z0-9_-]{20,128}")


@dataclass(frozen=True, slots=True)
class Token:
    """A live token: its text, its client (an `oauth_entity` row) and the user it stands for."""

    sys_id: str
    text: str
    type: TokenType
    client: Row
    user: Row
    scope: str


class Tokens:
    """Issues tokens, finds live ones, ends them.

    A token is live while it has not expired, its client is active and its user may make calls. It expires at its
    `expires`, or when the client's current lifespan has passed since it was issued, whichever comes first: shortening
    a lifespan also shortens the life of issued tokens.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._records = instance.records

    def find(self, text: str, token_type: TokenType) -> Token | None:
        """Return the live token with that text."""
        return self._live([row for row in self._rows_of(text) if row["type"] == token_type])

    def current(self, token_type: TokenType, client: Row, user: Row) -> Token | None:
        """Return the newest live token of that client and user."""
        return self._live(
            self._records.query(
                "oauth_credential",
                f"peer={client['sys_id']}^user={user['sys_id']}^type={token_type}^ORDERBYDESCsys_updated_on",
            )
        )

    def issue(self, token_type: TokenType, client: Row, user: Row, scope: str) -> Token:
        """Return a new token with its full lifespan."""
        row = self._records.insert(
            "oauth_credential",
            {
                "token": secrets.token_urlsafe(64),
                "type": token_type,
                "peer": client["sys_id"],
                "user": user["sys_id"],
                "scope": scope,
                "expires": to_glide(self._instance.clock.now() + _lifespan(client, token_type)),
            },
        )
        return Token(row["sys_id"], row["token"], token_type, client, user, scope)

    def extend(self, token: Token) -> None:
        """Give a token its full lifespan again."""
        expires_at = self._instance.clock.now() + _lifespan(token.client, token.type)
        self._records.update("oauth_credential", token.sys_id, {"expires": to_glide(expires_at)})

    def seconds_left(self, token: Token) -> int:
        """Return how long a live token still lasts, rounded up."""
        row = self._records.get("oauth_credential", token.sys_id)
        assert row is not None, "a live token has a row"
        left = _expires_at(row, token.client, token.type) - self._instance.clock.now()
        return math.ceil(left.total_seconds())

    def revoke(self, text: str) -> bool:
        """Mark the token with that text, of either type, as expired; say whether it existed."""
        rows = self._rows_of(text)
        for row in rows:
            self._records.update("oauth_credential", row["sys_id"], {"expires": to_glide(self._instance.clock.now())})
        return bool(rows)

    def delete_expired(self) -> int:
        """Do what the scheduled job *Clean Expired OAuth Credentials* does; return the number of removed rows."""
        expired = self._records.query("oauth_credential", f"expires<={to_glide(self._instance.clock.now())}")
        return sum(self._records.delete("oauth_credential", row["sys_id"]) for row in expired)

    def _rows_of(self, text: str) -> list[Row]:
        """Return the rows of a token. Tokens are case-sensitive, however the instance compares text."""
        rows = self._records.query("oauth_credential", f"token={text}") if _OPAQUE.fullmatch(text) else []
        return [row for row in rows if row["token"] == text]

    def _live(self, rows: list[Row]) -> Token | None:
        now = self._instance.clock.now()
        for row in rows:
            client = self._records.get("oauth_entity", row["peer"])
            user = self._records.get("sys_user", row["user"])
            if client is None or client["active"] != "true" or user is None or not may_call(user):
                continue
            token_type: TokenType = "access_token" if row["type"] == "access_token" else "refresh_token"
            if now < _expires_at(row, client, token_type):
                return Token(row["sys_id"], row["token"], token_type, client, user, row["scope"])
        return None


def _lifespan(client: Row, token_type: TokenType) -> timedelta:
    return timedelta(seconds=int(client[f"{token_type}_lifespan"]))


def _expires_at(row: Row, client: Row, token_type: TokenType) -> datetime:
    issued_at = from_glide(row["sys_updated_on"])
    return min(from_glide(row["expires"]), issued_at + _lifespan(client, token_type))
