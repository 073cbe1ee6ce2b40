"""A check's findings as a page shows them: causes with their buttons, what waits for them, and what is fine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.check.findings import CheckName, Finding, Outcome
from shared.connections.model import Connection
from shared.value_object import value_object
from shared.web.findings import FindingWords, alike, finding_words
from shared.web.servicenow_links import servicenow_links
from shared.words.language import Language

_WAITING: Final = frozenset({"not_checked", "not_authorized"})
_NOTICES: Final = frozenset({"some_refused"})
_FOLLOWS: Final = {
    CheckName.CONSENT: {"refused": CheckName.TOKEN_ENDPOINT, "not_connected": CheckName.TOKEN_ENDPOINT},
    CheckName.TICKETS_ARRIVE: {
        "not_configured": CheckName.CONSENT,
        "authorize_missing": CheckName.CONSENT,
        "reauthorize": CheckName.CONSENT,
        "unavailable": CheckName.REACHABLE,
    },
}
"""What a finding follows from, if that check has failed, too: a page names the cause and not its consequences."""


@value_object
class Action:
    """What a person does about a cause.

    Attributes:
        words: Key of the button's words.
        is_form: Whether the address takes a form; otherwise it is a link.
        is_elsewhere: Whether it leads to ServiceNow.
    """

    words: str
    address: str
    is_form: bool = False
    is_elsewhere: bool = False


@value_object
class Cause:
    """Something to do.

    Attributes:
        findings: Those that say the same of different checks.
        action: None if there is no one place to do it.
    """

    findings: Sequence[FindingWords]
    action: Action | None


@value_object
class CheckResult:
    """What a check found, in the order of a page.

    Attributes:
        causes: What failed, then what nobody could find out; in each, what leads to a place to fix it comes first.
        notices: What passed, but leaves something to do.
        waiting: What cannot be known, or is only a consequence, until the causes are fixed.
    """

    causes: Sequence[Cause]
    notices: Sequence[Cause]
    waiting: Sequence[FindingWords]
    passed: Sequence[FindingWords]


def check_result(
    findings: Sequence[Finding], connection: Connection, t: Language, *, authorize_path: str
) -> CheckResult:
    """Return findings as a page shows them; what failed comes before what nobody could find out.

    Args:
        authorize_path: Path that begins an authorization.
    """
    failed = {each.check for each in findings if each.outcome is Outcome.FAILED}
    waiting = [each for each in findings if each.reason in _WAITING or _follows(each, failed)]
    to_do = [each for each in findings if each.outcome is not Outcome.PASSED and each not in waiting]
    words = [finding_words(each, t) for each in to_do]
    causes = [Cause(group, _action(group[0], connection, authorize_path)) for group in alike(words)]
    causes.sort(key=lambda each: (each.findings[0].outcome is not Outcome.FAILED, each.action is None))
    passed = [finding_words(each, t) for each in findings if each.outcome is Outcome.PASSED]
    return CheckResult(
        causes=causes,
        notices=[
            Cause([each], _action(each, connection, authorize_path)) for each in passed if each.reason in _NOTICES
        ],
        waiting=[finding_words(each, t) for each in waiting],
        passed=passed,
    )


def _follows(finding: Finding, failed: set[CheckName]) -> bool:
    return _FOLLOWS.get(finding.check, {}).get(finding.reason) in failed


def _action(cause: FindingWords, connection: Connection, authorize_path: str) -> Action | None:
    """Return where to do something about a cause."""
    here = f"/configuration/{connection.connection_id}"
    links = servicenow_links(connection)

    def account(field: str) -> Action:
        return Action("configuration.account", f"{here}/account#{field}")

    def servicenow(words: str, address: str) -> Action:
        return Action(words, address, is_elsewhere=True)

    authorize = Action("action.authorize", authorize_path)
    match cause.check.topic, cause.reason:
        case ("consent", "ended" | "missing" | "refused") | ("token_endpoint", "refused"):
            return authorize
        case "consent", "ends_soon":
            return Action("action.renew_consent", authorize.address)
        case ("consent", "not_connected") | ("token_endpoint", "credentials_refused"):
            return Action("step.connect", f"{here}/connect", is_form=True)
        case "reachable", reason if reason != "timeout":
            return account("instance")
        case "oauth_client", "unknown_client":
            return account("client_id")
        case "multifactor", "nobody_named":
            return account("second_factor_holder")
        case "oauth_client", "inactive" | "redirect_missing":
            return servicenow("link.client", links.client)
        case "oauth_client", "lifespan_differs":
            return Action("check.to.settings", f"{here}/settings#consent_lifetime_s")
        case "ip_filtering", _:
            return servicenow("link.addresses", links.addresses)
        case ("user_account" | "signed_in_user", _) | ("user_roles" | "create", "missing" | "role_missing"):
            return servicenow("link.user", links.user)
        case "fields", "refused" | "lost":
            return Action("hint.open", f"{here}/preflight#kind-{cause.check.kind}")
        case "tickets_arrive", "no_kind_enabled":
            return Action("check.to.settings", f"{here}/settings#kind-incident")
        case "tickets_arrive", "only_refused" | "some_refused":
            return Action("check.to.tickets", f"/tickets?show=failed&connection={connection.connection_id}")
        case "tickets_arrive", "waiting":
            return Action("check.to.tickets", f"/tickets?show=pending&connection={connection.connection_id}")
        case "tickets_arrive", "not_synchronised":
            return Action("action.sync", f"{here}/sync", is_form=True)
        case "tickets_arrive", "not_configured":
            return Action(
                "connection.next.finish", f"/ticketProvisioning?connection_id={connection.connection_id}#next"
            )
    return None
