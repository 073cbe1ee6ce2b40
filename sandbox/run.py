"""``make run``: starts the whole world, does the main job once, and stays up so that you can try it."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sandbox.compliance_manager.pages import PAGE as COMPLIANCE_PAGE
from sandbox.functions_host.authentication import Tenant
from sandbox.narration import StepFailedError
from sandbox.outcome_story import DAYS
from sandbox.processes import SandboxError
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.hardened import EGRESS_ADDRESS, HARDENED, harden
from sandbox.servicenow.stage.seed.people import PEOPLE
from sandbox.walkthrough import Walkthrough
from sandbox.webhooks.process import WebhookReceivers, start_webhook_receivers
from sandbox.world import ACCOUNT, ANY_PORTS, ROOT, FunctionsHost, Ports, World, running_world, sample_settings
from sandbox.world import PEOPLE as PEOPLE_FILE

DIRECTORY = ROOT / ".sandbox" / "run"
_WATCH_S = 0.5


def main() -> None:
    """Run the sandbox; the exit status is 0 only if every step of the walk-through succeeded."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.run", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the walk-through")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="DIRECTORY",
        help="run beside another sandbox: on free ports, with logs and other files in this directory",
    )
    parser.add_argument(
        "--hardened",
        choices=HARDENED,
        metavar="NAME",
        help=f"start an empty connector with a hardened instance, without the walk-through: {', '.join(HARDENED)}",
    )
    arguments = parser.parse_args()
    directory, ports = (arguments.beside, ANY_PORTS) if arguments.beside else (DIRECTORY, Ports())
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(directory, ports, once=arguments.once, hardened=arguments.hardened)
    except SandboxError as error:
        sys.exit(f"\nThe sandbox cannot run. {error}")
    except StepFailedError as error:
        sys.exit(f"\nThe walk-through failed: {error}\nThe parts' logs are in {directory / 'logs'}.")
    except KeyboardInterrupt:
        print("\nEverything is stopped.")


def _run(directory: Path, ports: Ports, *, once: bool, hardened: str | None) -> None:
    # Nothing else outlives a run, so a past run's timer locks must not either.
    shutil.rmtree(directory, ignore_errors=True)
    print(
        "Starting ServiceNow, storage, Key Vault, Microsoft Graph, managed identity and the Functions host ...",
        flush=True,
    )
    with running_world(directory, ports, days_ago=0 if hardened else DAYS) as world:
        host = world.start_host(
            account=world.azurite.account(ACCOUNT),
            vault_url=world.key_vaults.new_vault(),
            port=ports.functions_host,
            public_url=sample_settings()["PUBLIC_BASE_URL"] if ports.functions_host else None,
            settings={"ENVIRONMENT_NAME": "Sandbox"} | ({"EGRESS_ADDRESSES": EGRESS_ADDRESS} if hardened else {}),
        )
        world.register_for_customers(host)
        receivers: WebhookReceivers | None = None
        if hardened:
            _hand_over(world, host, hardened)
        else:
            receivers = start_webhook_receivers(world.processes, port=ports.webhooks)
            Walkthrough(world, host, receivers, lambda line: print(line, flush=True)).run()
            print("\nEvery step succeeded.", flush=True)
        if once:
            return
        _show_around(world, host, receivers)
        while True:
            world.processes.raise_if_any_ended()
            time.sleep(_WATCH_S)


def _hand_over(world: World, host: FunctionsHost, hardened: str) -> None:
    with ControlClient(world.servicenow.url) as control:
        given = harden(control, hardened, f"{host.public_url}/api/oauth/callback")
    lines = [
        "",
        f"Hardened: {HARDENED[hardened].demands}",
        "",
        "What ServiceNow's administrator hands over",
        f"  ServiceNow instance    {given.instance}",
        f"  Client ID              {given.client_id}",
        f"  Client secret          {given.client_secret}",
        f"  Registered for         {given.grant.replace('_', ' ')}",
        f"  Integration user       {given.integration_user}",
        f"  Its sign-in            {given.sign_in_name}, {given.password or 'no password: nobody signs in as it'}",
        *(f"  {field:22} {value}" for field, value in given.knows.items()),
    ]
    print("\n".join(lines), flush=True)


def _show_around(world: World, host: FunctionsHost, receivers: WebhookReceivers | None) -> None:
    tenant = Tenant.read(PEOPLE_FILE)
    lines = [
        "",
        "The sandbox stays up; Ctrl-C ends it.",
        "",
        "Addresses",
        f"  Portal pages           {host.public_url}/",
        f"  All customers          {host.public_url}/portfolio",
        f"  ServiceNow             {world.servicenow.url}/",
        f"  Secure Score           {world.graph.url}/securescore?viewid=actions",
        f"  Compliance Manager     {world.graph.url}{COMPLIANCE_PAGE}",
        *([f"  Received reminders     {receivers.url}/"] if receivers else []),
        f"  HTTP API description   {host.public_url}/api/openapi.json",
        f"  Key Vault              {world.key_vaults.urls[0]}",
        f"  Microsoft Graph        {world.graph.url}",
        f"  Table Storage          {world.azurite.account(ACCOUNT).tables_url}",
        "  Timer                  runs every full minute",
        "",
        "People at the portal (pick one on its sign-in page, no password)",
        *(f"  {person.name:22} {', '.join(person.roles) or 'no role'}" for person in tenant.people),
        "",
        "Programs (they send their token: Authorization: Bearer ...)",
        *(f"  {program.name:22} {program.token:28} {', '.join(program.roles)}" for program in tenant.applications),
        "",
        "People in ServiceNow",
        *(f"  {person.user_name:22} {person.password:20} {person.purpose}" for person in PEOPLE),
        "",
    ]
    print("\n".join(lines), flush=True)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
