"""``python -m sandbox.graph``: the simulated Graph as a process."""

import argparse
import errno
import sys

import uvicorn

from sandbox.certificates import ensure_certificates
from sandbox.graph.engine.world import World
from sandbox.graph.hosts import create_hosts, token_endpoint_for
from sandbox.graph.stage.seed.tenants import plant
from sandbox.managed_identity.tokens import TokenSigner
from sandbox.serving import configuration, listen


def main() -> None:
    """Print ``Graph at <url>``, then serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.graph")
    parser.add_argument("--port", type=int, required=True, help="0 lets the system choose")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same tenants")
    parser.add_argument("--days-ago", type=int, default=0, help="begin this many days in the past")
    arguments = parser.parse_args()
    certificates = ensure_certificates()

    def fill(world: World) -> None:
        plant(world, seed=arguments.seed)

    try:
        listener = listen(arguments.port)
    except OSError as error:
        sys.exit(f"Port {arguments.port} is taken." if error.errno == errno.EADDRINUSE else str(error))
    world = World()
    world.advance(days=-arguments.days_ago)
    fill(world)
    print(f"Graph at https://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = configuration(
        create_hosts(world, token_endpoint_for(world, TokenSigner(certificates.token_key)), fill),
        ssl_certfile=certificates.chain,
        ssl_keyfile=certificates.key,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
