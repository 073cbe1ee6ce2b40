"""The page of the portal that gives the workbook, with the switches as fields of its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.compliance_manager.actions import Action, invented_actions, next_day
from sandbox.compliance_manager.spreadsheet import Strings
from sandbox.compliance_manager.workbook import FILE_NAME, Dates, Switches, export_workbook

PAGE = "/compliancemanager/assessmentspage"
"""Its address in the portal (Microsoft Graph §7)."""
_MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_YES, _NO = "true", "false"
_CHOICES: Mapping[str, Sequence[str]] = {
    "strings": tuple(Strings),
    "dates": tuple(Dates),
    "from_assessment": (_YES, _NO),
    "parent_columns": (_NO, _YES),
    "list_separator": (", ", ";;", "; "),
    "words_in_details": (_NO, _YES),
}
"""What the form offers for each switch, the default first."""
_TEMPLATES = Environment(
    loader=PackageLoader("sandbox.compliance_manager", "templates"), autoescape=True, undefined=StrictUndefined
)


@dataclass
class ComplianceManager:
    """One organisation's actions.

    Attributes:
        actions: As they are today.
        day: How many days have passed.
    """

    actions: list[Action] = field(default_factory=invented_actions)
    day: int = 0

    def advance(self) -> None:
        """Let a day pass: some actions change, one comes, one goes."""
        self.day += 1
        self.actions = next_day(self.actions, seed=self.day)

    def routes(self) -> list[Route]:
        """Return the page, its download, and the button that lets a day pass."""
        return [
            Route(PAGE, self._page, methods=["GET"]),
            Route(f"/compliancemanager/{FILE_NAME}", self._export, methods=["GET"]),
            Route("/compliancemanager/next-day", self._next_day, methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        template = _TEMPLATES.get_template("actions.html")
        return HTMLResponse(
            template.render(actions=self.actions, day=self.day, choices=_CHOICES, export=FILE_NAME, next_day="next-day")
        )

    async def _export(self, request: Request) -> Response:
        chosen = {name: request.query_params.get(name, values[0]) for name, values in _CHOICES.items()}
        if unknown := [name for name, value in chosen.items() if value not in _CHOICES[name]]:
            return Response(f"unknown value: {', '.join(unknown)}", 400)
        switches = Switches(
            strings=Strings(chosen["strings"]),
            dates=Dates(chosen["dates"]),
            from_assessment=chosen["from_assessment"] == _YES,
            parent_columns=chosen["parent_columns"] == _YES,
            list_separator=chosen["list_separator"],
            words_in_details=chosen["words_in_details"] == _YES,
        )
        return Response(
            export_workbook(self.actions, switches),
            media_type=_MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
        )

    async def _next_day(self, request: Request) -> Response:
        self.advance()
        return RedirectResponse(PAGE, 303)
