"""``python -m sandbox.key_vault``: one or more vaults as a process."""

from __future__ import annotations

import argparse

import uvicorn

from sandbox.certificates import ensure_certificates
from sandbox.key_vault.app import Endpoint, create_app
from sandbox.key_vault.vault import Vault
from sandbox.managed_identity.tokens import TokenSigner
from sandbox.serving import configuration, listen


def main() -> None:
    """Print ``Vault <number> at <url>`` for each vault, then serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.key_vault")
    parser.add_argument(
        "--port", type=int, required=True, help="port of the first vault; 0 lets the system choose all ports"
    )
    parser.add_argument("--vaults", type=int, default=1, help="number of vaults; each takes a port")
    arguments = parser.parse_args()
    certificates = ensure_certificates()
    endpoints: dict[int, Endpoint] = {}
    sockets = []
    for number in range(arguments.vaults):
        listener = listen(arguments.port and arguments.port + number)
        port = listener.getsockname()[1]
        endpoints[port] = Endpoint(Vault(url=f"https://127.0.0.1:{port}"))
        sockets.append(listener)
        print(f"Vault {number} at https://127.0.0.1:{port}", flush=True)
    config = configuration(
        create_app(endpoints, TokenSigner(certificates.token_key)),
        ssl_certfile=certificates.chain,
        ssl_keyfile=certificates.key,
    )
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
