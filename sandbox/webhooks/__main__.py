"""``python -m sandbox.webhooks``: the receivers as a process."""

from __future__ import annotations

import argparse

import uvicorn

from sandbox.certificates import ensure_certificates
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import listen
from sandbox.webhooks.app import Receivers, create_app


def main() -> None:
    """Print ``Receivers at <url>``, then serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.webhooks")
    parser.add_argument("--port", type=int, required=True, help="0 lets the system choose")
    arguments = parser.parse_args()
    certificates = ensure_certificates()
    listener = listen(arguments.port)
    print(f"Receivers at https://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = configuration(create_app(Receivers()), ssl_certfile=certificates.chain, ssl_keyfile=certificates.key)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
