"""The control API's handlers for people, their clients and tokens."""

import secrets

from starlette.requests import Request

from sandbox.servicenow.engine.caller import SYSTEM
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.second_factor import SecondFactors
from sandbox.servicenow.engine.tokens import Tokens
from sandbox.servicenow.stage.control.handling import (
    ControlProblemError,
    Handlers,
    Json,
    raw_columns,
    require_known,
    user_named,
)


class PeopleControl:
    """Users, OAuth clients and the tokens that connect them."""

    def __init__(self, instance: Instance, tokens: Tokens) -> None:
        self._instance = instance
        self._records = instance.records
        self._tokens = tokens

    def handlers(self) -> Handlers:
        """Return the handlers of its paths."""
        return {
            ("POST", "/users"): self._create_user,
            ("PATCH", "/users/{user_name}"): self._change_user,
            ("POST", "/users/{user_name}/second-factor"): self._enrol_second_factor,
            ("POST", "/oauth-clients"): self._create_client,
            ("PATCH", "/oauth-clients/{client_id}"): self._change_client,
            ("POST", "/oauth-clients/{client_id}/rotate-secret"): self._rotate_secret,
            ("GET", "/tokens"): self._list_tokens,
            ("DELETE", "/tokens"): self._revoke_tokens,
        }

    def _create_user(self, _: Request, body: Json) -> object:
        roles = body.pop("roles", [])
        user = self._instance.operations.insert("sys_user", raw_columns(self._instance, "sys_user", body), SYSTEM)
        self._give_roles(user, roles)
        return user

    def _change_user(self, request: Request, body: Json) -> object:
        user = user_named(self._instance, request.path_params["user_name"])
        roles = body.pop("roles", None)
        if roles is not None:
            self._records.execute('DELETE FROM "sys_user_has_role" WHERE "user" = ?', (user["sys_id"],))
            self._give_roles(user, roles)
        return self._instance.operations.update(
            "sys_user", user["sys_id"], raw_columns(self._instance, "sys_user", body), SYSTEM
        )

    def _enrol_second_factor(self, request: Request, _: Json) -> object:
        user = user_named(self._instance, request.path_params["user_name"])
        return {"secret": SecondFactors(self._instance).enrol(user)}

    def _create_client(self, _: Request, body: Json) -> object:
        generated = {"client_id": secrets.token_hex(16), "client_secret": secrets.token_urlsafe(24)}
        return self._records.insert("oauth_entity", generated | raw_columns(self._instance, "oauth_entity", body))

    def _change_client(self, request: Request, body: Json) -> object:
        client = self._client(request.path_params["client_id"])
        return self._records.update("oauth_entity", client["sys_id"], raw_columns(self._instance, "oauth_entity", body))

    def _rotate_secret(self, request: Request, _: Json) -> object:
        client = self._client(request.path_params["client_id"])
        new = {"client_secret": secrets.token_urlsafe(24)}
        self._records.update("oauth_entity", client["sys_id"], new)
        return new

    def _list_tokens(self, _: Request, __: Json) -> object:
        return {"tokens": [self._shown_token(row) for row in self._records.query("oauth_credential")]}

    def _revoke_tokens(self, _: Request, body: Json) -> object:
        require_known(body, {"user_name", "type"})
        shown = [self._shown_token(row) for row in self._records.query("oauth_credential")]
        wanted = [token for token in shown if token["live"] and body.items() <= token.items()]
        for token in wanted:
            self._tokens.revoke(token["token"])
        return {"revoked": len(wanted)}

    def _give_roles(self, user: Row, roles: list[str]) -> None:
        for name in roles:
            role = self._records.first("sys_user_role", f"name={name}")
            role = role or self._records.insert("sys_user_role", {"name": name})
            self._records.insert("sys_user_has_role", {"user": user["sys_id"], "role": role["sys_id"]})

    def _client(self, client_id: str) -> Row:
        client = self._records.first("oauth_entity", f"client_id={client_id}")
        if client is None:
            raise ControlProblemError(404, f"no OAuth client {client_id}")
        return client

    def _shown_token(self, row: Row) -> Json:
        user = self._records.get("sys_user", row["user"]) or {}
        client = self._records.get("oauth_entity", row["peer"]) or {}
        is_access = row["type"] == "access_token"
        live = self._tokens.find(row["token"], "access_token" if is_access else "refresh_token")
        return {
            **{name: row[name] for name in ("type", "token", "expires", "scope")},
            "user_name": user.get("user_name", ""),
            "client_id": client.get("client_id", ""),
            "live": live is not None,
        }
