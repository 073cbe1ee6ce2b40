"""What a workflow of Microsoft Teams does with a request (Webhooks §T1 to §T15)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CARD_TYPE = "application/vnd.microsoft.card.adaptive"
CARD_LIMIT = 28 * 1024
"""Webhooks §T8."""
ELEMENTS = frozenset({"TextBlock", "RichTextBlock", "FactSet", "ColumnSet", "Container", "Image", "ActionSet", "Table"})
VERSIONS = frozenset({"1.0", "1.1", "1.2", "1.3", "1.4", "1.5"})


@dataclass
class Flow:
    """A workflow.

    Attributes:
        flow_id: 32 hexadecimal digits.
        signature: The ``sig`` of its address.
        is_on: Whether it is turned on.
        wants_token: Whether its trigger asks for a token (*Any user in my tenant*).
    """

    flow_id: str = field(default_factory=lambda: secrets.token_hex(16))
    signature: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    is_on: bool = True
    wants_token: bool = False

    @property
    def path(self) -> str:
        """Path and query of its address (Webhooks §T3)."""
        return (
            f"/powerautomate/automations/direct/workflows/{self.flow_id}/triggers/manual/paths/invoke"
            f"?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={self.signature}"
        )


@dataclass
class Switches:
    """Where the reference says CONFLICT or NOT FOUND.

    Attributes:
        off_status: What a flow that is turned off answers: 400 or 404 (Webhooks §T5).
        refuses_large: Whether a large card is refused with 413 at once; otherwise the run fails after the 202 (§T8).
        sends_retry_after: Whether a 429 says how long to wait (Webhooks §T9).
    """

    off_status: int = 400
    refuses_large: bool = True
    sends_retry_after: bool = True


@dataclass(frozen=True)
class Run:
    """What became of a run that was accepted.

    Attributes:
        cards: The cards that were posted.
        failure: Why the run failed; None if it did not.
    """

    cards: tuple[Mapping[str, Any], ...] = ()
    failure: str | None = None


def error_body(code: str, message: str) -> dict[str, object]:
    """Return the body of a refusal."""
    return {"error": {"code": code, "message": message}}


def refusal(flow: Flow | None, query: Mapping[str, str], switches: Switches) -> tuple[int, dict[str, object]] | None:
    """Return status and body with which a request is refused before its body is looked at; None if it is not."""
    if flow is None:
        return 404, error_body("WorkflowNotFound", "The workflow could not be found.")
    if not flow.is_on:
        if switches.off_status == 404:
            return 404, error_body("WorkflowNotFound", "The workflow could not be found.")
        message = "Could not execute workflow trigger 'manual' with state 'Disabled'."
        return 400, error_body("WorkflowTriggerIsNotEnabled", message)
    wanted = {"api-version": "1", "sp": "/triggers/manual/run", "sv": "1.0", "sig": flow.signature}
    if flow.wants_token or any(query.get(name) != value for name, value in wanted.items()):
        message = "The request must be authenticated only by Shared Access scheme."
        return 401, error_body("DirectApiAuthorizationRequired", message)
    return None


def run_of(body: Any) -> Run:
    """Return what the template of the workflow does with a body."""
    attachments = body.get("attachments") if isinstance(body, dict) else None
    if not isinstance(attachments, list):
        # The words of the flow's run history.
        return Run(failure="the result of the evaluation of 'foreach' expression is of type 'Null'")
    cards = []
    for each in attachments:
        content = each.get("content") if isinstance(each, dict) else None
        if not isinstance(content, dict) or each.get("contentType") != CARD_TYPE:
            return Run(failure="only Adaptive Cards are supported")
        if (fault := card_fault(content)) is not None:
            return Run(failure=fault)
        if len(json.dumps(content, ensure_ascii=False).encode()) > CARD_LIMIT:
            return Run(failure="Request Entity too large")
        cards.append(content)
    return Run(tuple(cards))


def card_fault(card: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a card by its schema; None if nothing is."""
    if card.get("type") != "AdaptiveCard" or card.get("version") not in VERSIONS:
        return "not an Adaptive Card of a known version"
    for element in card.get("body", []):
        if element.get("type") not in ELEMENTS:
            return f"unknown element {element.get('type')}"
        if element["type"] == "RichTextBlock":
            for run in element.get("inlines", []):
                if isinstance(run, str):
                    continue
                if run.get("type") != "TextRun" or not isinstance(run.get("text"), str):
                    return "an inline is a text or a TextRun"
    for action in card.get("actions", []):
        if action.get("type") == "Action.OpenUrl" and not str(action.get("url", "")).startswith(
            ("http://", "https://")
        ):
            return "Action.OpenUrl needs an absolute address"
    return None
