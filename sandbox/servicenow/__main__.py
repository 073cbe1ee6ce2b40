"""``python -m sandbox.servicenow``: an instance as a process."""

import argparse
import errno
import sys
from collections.abc import Callable
from datetime import timedelta

import uvicorn

from sandbox.servicenow.app import create_app
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.seed.demonstration import plant
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from sandbox.servicenow.wire.server import configuration
from sandbox.serving import listen

_SEEDS: dict[str, Callable[[Instance], None]] = {"full": plant, "small": plant_essentials}


def main() -> None:
    """Print ``ServiceNow at <url>``, then serve until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.servicenow")
    parser.add_argument("--port", type=int, required=True, help="0 lets the system choose")
    parser.add_argument("--database", default=":memory:", help="file for the records; without it, memory")
    parser.add_argument("--seed", choices=_SEEDS, default="full", help="demonstration data, or only people and choices")
    parser.add_argument("--days-ago", type=int, default=0, help="begin this many days in the past")
    parser.add_argument("--client-id", help="register an OAuth client with this id")
    parser.add_argument("--client-secret", help="its secret")
    parser.add_argument("--redirect-uri", help="its redirect URL, or several separated by commas")
    arguments = parser.parse_args()
    oauth_client = {
        "client_id": arguments.client_id,
        "client_secret": arguments.client_secret,
        "redirect_url": arguments.redirect_uri,
    }
    if any(oauth_client.values()) and not all(oauth_client.values()):
        parser.error("--client-id, --client-secret and --redirect-uri go together")

    def fill(instance: Instance) -> None:
        _SEEDS[arguments.seed](instance)
        if all(oauth_client.values()):
            instance.records.insert("oauth_entity", {"name": "Microsoft 365 connector", **oauth_client})

    try:
        listener = listen(arguments.port)
    except OSError as error:
        sys.exit(f"Port {arguments.port} is taken." if error.errno == errno.EADDRINUSE else str(error))
    instance = Instance(database=arguments.database)
    instance.clock.advance(-timedelta(days=arguments.days_ago).total_seconds())
    if not instance.records.count("sys_user"):
        fill(instance)
    print(f"ServiceNow at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(configuration(create_app(instance, fill))).run(sockets=[listener])


if __name__ == "__main__":
    main()
