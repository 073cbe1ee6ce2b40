"""``make screenshots``: takes pictures of every page, in every language and both themes, for ``docs/images``."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from sandbox import demonstration
from sandbox.chromium import NAMES, find_chromium, start_chromium
from sandbox.compliance_manager.actions import Action, invented_actions, next_day
from sandbox.compliance_manager.workbook import FILE_NAME, export_workbook
from sandbox.functions_host.authentication import Person
from sandbox.graph.stage.seed.tenants import BUSINESS_PREMIUM, E5
from sandbox.processes import SandboxError, free_port
from sandbox.world import ROOT, FunctionsHost, World, running_world

IMAGES: Final = ROOT / "docs" / "images"
LOCALES: Final = {"en": "en-US", "ja": "ja-JP"}
THEMES: Final[Sequence[Literal["light", "dark"]]] = ("light", "dark")
WIDE, NARROW = 1280, 360
_HEIGHTS: Final = {WIDE: 800, NARROW: 740}


@dataclass(frozen=True)
class Stage:
    """What the pictures in one language show.

    Attributes:
        empty: An app that nobody has connected yet.
        host: An app with a connection and tickets.
        tickets: Its tickets as the API has them.
        followed: The address of the recommendation that was carried out.
        actions: What Compliance Manager shows, day by day; each import of a file has the next day's.
    """

    empty: FunctionsHost
    host: FunctionsHost
    tickets: Sequence[Mapping[str, Any]]
    followed: str
    actions: Iterator[Sequence[Action]]

    def ticket(self, phase: str | None) -> str:
        """Return the address of the newest ticket in a phase; without a phase, of the newest refused ticket."""
        return self._newest(lambda ticket: ticket["phase"] == phase)

    def ended(self, outcome: str) -> str:
        """Return the address of the newest ticket with an outcome."""
        return self._newest(lambda ticket: ticket["verification"] and ticket["verification"]["outcome"] == outcome)

    def _newest(self, is_wanted: Callable[[Mapping[str, Any]], bool]) -> str:
        return next(f"/tickets/{each['ticket_id']}" for each in reversed(self.tickets) if is_wanted(each))


@dataclass(frozen=True)
class Picture:
    """A page to photograph.

    Attributes:
        name: The file's name, before language and theme.
        path: The page's path.
        act: What a person does there before the picture is taken.
        narrow: Whether to take it a second time, as on a phone.
        empty: Whether nobody has connected the app yet.
        height: How much of a long page to take, from its top; None for all.
        part: The part of the page to take, as a CSS selector; None for the page.
    """

    name: str
    path: Callable[[Stage], str]
    act: Callable[[Page, Stage], None] | None = None
    person: Person = demonstration.ADMINISTRATOR
    narrow: bool = False
    empty: bool = False
    height: int | None = None
    part: str | None = None


def _preview(page: Page, _: Stage) -> None:
    page.locator("button[value='preview']").click()
    page.locator("button[value='send']").wait_for()


def _instructions(page: Page, _: Stage) -> None:
    page.locator("details.hand-over summary").click()


def _check(page: Page, _: Stage) -> None:
    page.locator("form[action$='/check'] button").click()
    page.locator("#check-next form").first.wait_for()


def _try_out(page: Page, _: Stage) -> None:
    page.locator("form[action$='/preflight'] button").first.click()
    page.wait_for_url("**/preflight?done=tried*")


def _choose_several(page: Page, _: Stage) -> None:
    for number in range(_CHOSEN):
        page.locator("input[name='key']").nth(number).check()
    page.locator("form[action='/recommendations/tickets'] button.primary").click()
    page.locator("form.bulk").wait_for()


def _create_several(page: Page, stage: Stage) -> None:
    _choose_several(page, stage)
    page.locator("button[value='create']").click()
    page.locator("td.number a").first.wait_for()


def _import(page: Page, stage: Stage) -> None:
    file = export_workbook(next(stage.actions))
    page.locator("input[type='file']").set_input_files({"name": FILE_NAME, "mimeType": "", "buffer": file})
    page.locator("main form button").click()
    page.locator("h1 ~ *").last.wait_for()


def _days() -> Iterator[Sequence[Action]]:
    actions = invented_actions()
    for day in itertools.count(1):
        actions = next_day(actions, seed=day)
        yield actions


def _new_ticket(stage: Stage) -> str:
    ticket = stage.tickets[-2]
    recommendation = ticket["recommendation"]
    handed_over = {
        "name": ticket["name"],
        "description": ticket["description"],
        "priority": ticket["priority"],
        "due_date": ticket["due_at"][:10],
        "category": recommendation["category"],
        "link": recommendation["link"],
        "recommendation_id": recommendation["id"],
    }
    return f"/tickets/new?{urlencode(handed_over)}"


_CHOSEN = 6
_SCORED = f"tenant_id={E5}&source=secure_score"
PICTURES: Final = (
    Picture("connect", lambda _: "/", empty=True),
    Picture("home", lambda _: "/", narrow=True),
    Picture("attention", lambda _: "/attention", narrow=True),
    Picture("tickets", lambda _: "/tickets", narrow=True),
    Picture("ticket", lambda stage: stage.ticket("resolved")),
    Picture("ticket-verified", lambda stage: stage.ended("verified")),
    Picture("ticket-not-fixed", lambda stage: stage.ended("not_fixed")),
    Picture("ticket-regressed", lambda stage: stage.ended("regressed")),
    Picture("ticket-changes", lambda stage: stage.ticket("on_hold")),
    Picture("ticket-refused", lambda stage: stage.ticket(None)),
    Picture("new-ticket", _new_ticket, _preview),
    Picture("provisioning", lambda _: "/ticketProvisioning", empty=True),
    Picture("instructions", lambda _: "/ticketProvisioning", _instructions, empty=True, part="details.hand-over"),
    Picture("portfolio", lambda _: "/portfolio", narrow=True),
    Picture("add-many", lambda _: "/connections/import"),
    Picture("connections", lambda _: "/configuration"),
    Picture("connection", lambda _: "/configuration/contoso", narrow=True),
    Picture("reminders", lambda _: "/configuration/contoso/reminders"),
    Picture("reports", lambda _: "/reports"),
    Picture("check", lambda _: "/configuration/contoso", _check),
    Picture("preflight", lambda _: "/configuration/contoso/preflight", _try_out, narrow=True),
    Picture("configuration", lambda _: "/configuration/contoso/settings"),
    Picture("policies", lambda _: "/configuration/contoso/settings", part="section[aria-labelledby='after-closing']"),
    Picture("data", lambda _: "/configuration/contoso/data"),
    Picture("recommendation", lambda stage: stage.followed),
    Picture("bulk", lambda _: f"/recommendations?{_SCORED}&has_ticket=false", _choose_several),
    Picture("evidence", lambda _: "/evidence"),
    Picture("tenants", lambda _: "/tenants"),
    Picture("tenant", lambda _: f"/tenants/{E5}"),
    Picture("tenant-consent", lambda _: f"/tenants/{BUSINESS_PREMIUM}", narrow=True),
    Picture(
        "recommendations", lambda _: f"/recommendations?tenant_id={E5}&source=secure_score", narrow=True, height=1_300
    ),
    Picture("error", lambda _: f"/tickets/{'0' * 32}"),
    Picture("bulk-progress", lambda _: f"/recommendations?{_SCORED}&has_ticket=false", _create_several),
    Picture("import", lambda _: f"/tenants/{E5}/import", _import),
)
"""Those that change what others show are the last."""


def main() -> None:
    """Take the pictures; the exit status says whether all were taken."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, metavar="DIRECTORY")
    parser.add_argument("--only", nargs="*", metavar="NAME", choices=[picture.name for picture in PICTURES])
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        sys.exit(f"Chromium is missing: none of {', '.join(NAMES)} is on PATH. Install it and run this again.")
    arguments.to.mkdir(parents=True, exist_ok=True)
    wanted = [picture for picture in PICTURES if not arguments.only or picture.name in arguments.only]
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            running_world(Path(directory), apps=2 * len(LOCALES), days_ago=demonstration.DAYS) as world,
            sync_playwright() as playwright,
        ):
            browser = start_chromium(playwright, program)
            for language, stage in _stages(world).items():
                _take_all(browser, stage, language, wanted, arguments.to)
            browser.close()
    except SandboxError as error:
        sys.exit(f"The sandbox cannot run. {error}")


def _stages(world: World) -> Mapping[str, Stage]:
    """Return what the pictures in each language show. It begins some days ago, so that points can follow."""
    hosts = {language: _start(world) for language in LOCALES}
    for language, host in hosts.items():
        demonstration.connect(host, world.servicenow, **demonstration.SETTINGS[language])
        demonstration.set_further_fields(host, world.servicenow, language)
        demonstration.add_tenants(host, language)
        recommendations = demonstration.create_recommended_tickets(host, world.servicenow)
    # The same in each language, since all have the same tenant.
    demonstration.let_days_pass(world, hosts.values(), recommendations)
    for host in hosts.values():
        demonstration.create_waiting_ticket(host, world.servicenow)
    followed = f"/recommendations/{recommendations[0]['id']}?tenant_id={E5}"
    return {
        language: Stage(
            _start(world), host, demonstration.create_tickets(host, world.servicenow, language), followed, _days()
        )
        for language, host in hosts.items()
    }


def _start(world: World) -> FunctionsHost:
    port = free_port()
    return world.start_host(
        f"Functions host {port}",
        account=world.azurite.new_account(),
        vault_url=world.key_vaults.new_vault(),
        port=port,
        public_url=f"http://localhost:{port}",
    )


def _take_all(browser: Browser, stage: Stage, language: str, pictures: Sequence[Picture], directory: Path) -> None:
    for picture in pictures:
        for theme in THEMES:
            _take(browser, stage, language, theme, picture, WIDE, directory / f"{picture.name}.{language}.{theme}.png")
        if picture.narrow:
            file = directory / f"{picture.name}.{language}.narrow.png"
            _take(browser, stage, language, "light", picture, NARROW, file)


def _take(
    browser: Browser,
    stage: Stage,
    language: str,
    theme: Literal["light", "dark"],
    picture: Picture,
    width: int,
    file: Path,
) -> None:
    context = browser.new_context(
        locale=LOCALES[language],
        color_scheme=theme,
        timezone_id="UTC",
        viewport={"width": width, "height": _HEIGHTS[width]},
    )
    host = stage.empty if picture.empty else stage.host
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(host.public_url + picture.path(stage))
    page.locator(f"button[value='{picture.person.oid}']").click()
    page.wait_for_url(lambda address: "/.auth/" not in address)
    if picture.act is not None:
        picture.act(page, stage)
    if picture.height is not None:
        page.set_viewport_size({"width": width, "height": picture.height})
    if picture.part is None:
        page.screenshot(path=file, full_page=picture.height is None)
    else:
        page.locator(picture.part).screenshot(path=file)
    context.close()
    if errors:
        raise SandboxError(f"The script of {file.name} failed: {errors[0]}")
    print(f"{file.name}  {file.stat().st_size / 1024:.0f} KiB", flush=True)


if __name__ == "__main__":
    main()
