"""``python -m sandbox.managed_identity``: the endpoint as a process."""

from __future__ import annotations

import argparse

import uvicorn

from sandbox.certificates import ensure_certificates
from sandbox.managed_identity.app import Endpoint, create_app
from sandbox.managed_identity.tokens import SYSTEM_ASSIGNED, ManagedIdentity, TokenSigner


def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.managed_identity")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True, help="the value of IDENTITY_HEADER")
    parser.add_argument("--user-assigned", action="append", default=[], metavar="CLIENT_ID")
    parser.add_argument("--no-system-assigned", action="store_true")
    parser.add_argument("--role", action="append", default=[], help="an app role that every identity has been granted")
    arguments = parser.parse_args()
    system_assigned = None if arguments.no_system_assigned else ManagedIdentity.of(SYSTEM_ASSIGNED)
    user_assigned = [ManagedIdentity.of(client_id) for client_id in arguments.user_assigned]
    endpoint = Endpoint(
        secret=arguments.secret,
        signer=TokenSigner(ensure_certificates().token_key),
        system_assigned=system_assigned,
        user_assigned=user_assigned,
        roles={
            identity.client_id: set(arguments.role)
            for identity in (system_assigned, *user_assigned)
            if identity is not None
        },
    )
    uvicorn.run(create_app(endpoint), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
