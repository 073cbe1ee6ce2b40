"""A connection with tickets in every state that a user can see, in English or Japanese: for screenshots and tests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sandbox.compliance_manager.workbook import FILE_NAME, export_workbook
from sandbox.functions_host.authentication import Tenant
from sandbox.graph.stage.control.client import ControlClient as GraphControl
from sandbox.graph.stage.seed.tenants import BUSINESS_PREMIUM, E5
from sandbox.portal import PortalUser, UnexpectedAnswerError
from sandbox.servicenow.stage.browser import sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.people import PEOPLE, group_sys_id, user_sys_id
from sandbox.world import PEOPLE as PEOPLE_FILE
from sandbox.world import FunctionsHost, ServiceNow, World

TENANT = Tenant.read(PEOPLE_FILE)
ADMINISTRATOR, REQUESTER = (
    next(person for person in TENANT.people if person.name == name) for name in ("Megan Bowen", "Adele Vance")
)
INTEGRATION_USER = next(person for person in PEOPLE if person.user_name == "m365.connector")
_TABLES = {"incident": "incident", "change": "change_request"}


@dataclass(frozen=True)
class Story:
    """A ticket and what the agents in ServiceNow do with it.

    Attributes:
        due_in_days: Days from today, or None for no due date.
        steps: What an agent writes to the record, one write after the other; for `_APPROVED`, an approver approves.
        refused: ServiceNow refuses it when it is created.
        said: What agents then write about it: the column (`comments` or `work_notes`) and the text.
        answer: The requester's comment after that; empty for none.
        refused_answer: Another one, which ServiceNow refuses.
    """

    kind: str
    portal: str
    name: str
    description: str
    priority: str
    category: str
    source: str = "microsoft"
    due_in_days: int | None = None
    steps: Sequence[Mapping[str, str]] = ()
    refused: bool = False
    said: Sequence[tuple[Literal["comments", "work_notes"], str]] = ()
    answer: str = ""
    refused_answer: str = ""
    recommendation: Mapping[str, str] = field(default_factory=dict)


_WORKED_ON = {
    "state": "2",
    "assignment_group": group_sys_id("Security Operations"),
    "assigned_to": user_sys_id("agent.smith"),
}
_WAITING = {"state": "3", "hold_reason": "4"}
_RESOLVED = {"state": "6", "close_code": "Solution provided", "close_notes": "Enforced by Conditional Access."}
_CLOSED = {"state": "7"}
_CANCELED = {"state": "4"}
_ASSESSED = {"state": "-4", "assignment_group": group_sys_id("Change Management")}
_APPROVED = {"approval": "approved"}
_CARRIED_OUT = (
    {"state": "-1"},
    {"state": "0"},
    {"state": "3", "close_code": "successful", "close_notes": "Carried out as described."},
)
_SCORE = {"link": "https://security.microsoft.com/securescore?viewid=actions"}


type Deed = Callable[[GraphControl, str], object]
"""What somebody does in Microsoft 365 about a control of the tenant, given its id."""


def _nothing(graph: GraphControl, control: str) -> None:
    """Leave it as it is."""


def _fix(graph: GraphControl, control: str) -> None:
    graph.fix(E5, control)


def _half_fix(graph: GraphControl, control: str) -> None:
    graph.half_fix(E5, control)


def _undo(graph: GraphControl, control: str) -> None:
    graph.undo(E5, control)


def _leave_to_third_party(graph: GraphControl, control: str) -> None:
    graph.decide(E5, control, "ThirdParty")


def _remove(graph: GraphControl, control: str) -> None:
    graph.remove_control(E5, control)


@dataclass(frozen=True)
class Followed:
    """What happens to a recommendation of the tenant.

    Attributes:
        steps: As those of a :class:`Story`.
        deed: What somebody does about it in Microsoft 365 on the first day.
        later: What happens there on the day :data:`LATER`.
        outcome: What measurements say of the ticket in the end.
    """

    kind: str
    steps: Sequence[Mapping[str, str]] = ()
    deed: Deed = _nothing
    later: Deed = _nothing
    outcome: str = "open"


FOLLOWED = (
    Followed("change", (_ASSESSED, _APPROVED, _APPROVED, *_CARRIED_OUT), _fix, outcome="verified"),
    Followed("incident", (_WORKED_ON,)),
    Followed("incident", (_WORKED_ON, _RESOLVED), _fix, _undo, outcome="regressed"),
    Followed("change", (_ASSESSED,)),
    Followed("incident"),
    Followed("incident", (_WORKED_ON,), _fix, outcome="verified"),
    Followed("incident", (_WORKED_ON, _RESOLVED), outcome="not_fixed"),
    Followed("incident", (_WORKED_ON, _RESOLVED), _half_fix, outcome="partly"),
    Followed("change", (_CANCELED,), outcome="not_done"),
    Followed("incident", (_WORKED_ON, _RESOLVED), _leave_to_third_party, outcome="disposed"),
    Followed("incident", (_WORKED_ON, _RESOLVED), later=_remove, outcome="unknown"),
)
"""What happens to the recommendations with the most points to gain, the first of them first."""
MOST_POINTS = f"tenant_id={E5}&source=secure_score&has_ticket=false&sort=points_to_gain&descending=true"
"""The query for them, without a limit."""
DAYS = 12
"""How long ago they get their tickets: a lost fix is said after a quiet week."""
LATER = 3
"""The day on which points have followed what was done on the first one (Microsoft Graph §1.6)."""
_WAIT_S = 30.0
_POLL_S = 0.2

STORIES: Mapping[str, Sequence[Story]] = {
    "en": (
        Story(
            "incident",
            "security",
            "Block legacy authentication",
            "Twelve sign-ins by POP and IMAP in the last thirty days came past multifactor authentication.",
            "critical",
            "identity",
            due_in_days=-9,
            steps=(_WORKED_ON,),
            recommendation=_SCORE | {"id": "BlockLegacyAuthentication"},
        ),
        Story(
            "incident",
            "security",
            "Turn on Safe Links for Office applications",
            "Links in documents are not checked when somebody opens them.",
            "high",
            "apps",
            due_in_days=20,
            steps=(_WORKED_ON, _RESOLVED, _CLOSED),
        ),
        Story(
            "incident",
            "compliance",
            "Review mailboxes that forward outside the company",
            "Four mailboxes forward everything to addresses outside contoso.example.",
            "moderate",
            "data",
            source="user",
            due_in_days=31,
            steps=(_WORKED_ON, _WAITING),
            said=(
                ("work_notes", "Two of the four belong to people who left in June."),
                ("comments", "Which of the four may stay? We wait for the owners' answers until Thursday."),
            ),
            answer="The one of the press office may stay. I have asked the owner of the other one.",
            refused_answer="The owner of the other one no longer needs it.",
        ),
        Story(
            "incident",
            "security",
            "Onboard unmanaged devices",
            "Nine laptops reach mail without being onboarded to endpoint protection.",
            "moderate",
            "devices",
            due_in_days=45,
            steps=(_WORKED_ON, _RESOLVED),
        ),
        Story(
            "change",
            "compliance",
            "Turn on audit log retention for one year",
            "Retention is ninety days; the policy asks for a year.",
            "moderate",
            "data",
            source="user",
            due_in_days=60,
            steps=(_ASSESSED, _APPROVED),
        ),
        Story(
            "change",
            "security",
            "Roll out attack surface reduction rules",
            "Start in audit mode for two weeks, then block.",
            "high",
            "devices",
            due_in_days=25,
            steps=(_ASSESSED,),
        ),
        Story(
            "change",
            "security",
            "Restrict inbound RDP on jump servers",
            "Port 3389 is open to the internet on two servers.",
            "critical",
            "infrastructure",
            due_in_days=5,
        ),
        Story(
            "incident",
            "security",
            "Limit consent to applications from verified publishers",
            "Anybody may consent to any application.",
            "high",
            "apps",
            due_in_days=14,
            refused=True,
        ),
        Story(
            "incident",
            "security",
            "Require multifactor authentication for administrators",
            "Three administrators can still sign in with a password alone.",
            "high",
            "identity",
            due_in_days=10,
            steps=(_WORKED_ON, _RESOLVED),
            recommendation=_SCORE | {"id": "AdminMFAV2"},
        ),
        Story(
            "incident",
            "security",
            "Remove standing access of guest accounts",
            "Seventeen guests have kept access to a team that ended in spring.",
            "low",
            "identity",
        ),
    ),
    "ja": (
        Story(
            "incident",
            "security",
            "レガシ認証をブロックする",
            "過去 30 日間に、POP と IMAP によるサインイン 12 件が多要素認証を回避しています。",
            "critical",
            "identity",
            due_in_days=-9,
            steps=(_WORKED_ON,),
            recommendation=_SCORE | {"id": "BlockLegacyAuthentication"},
        ),
        Story(
            "incident",
            "security",
            "Office アプリで安全なリンクを有効にする",
            "文書内のリンクが、開くときに検査されていません。",
            "high",
            "apps",
            due_in_days=20,
            steps=(_WORKED_ON, _RESOLVED, _CLOSED),
        ),
        Story(
            "incident",
            "compliance",
            "社外に転送しているメールボックスを確認する",
            "4 つのメールボックスが、すべてのメールを社外のアドレスに転送しています。",
            "moderate",
            "data",
            source="user",
            due_in_days=31,
            steps=(_WORKED_ON, _WAITING),
            said=(
                ("work_notes", "4 件のうち 2 件は、6 月に退職した社員のものです。"),
                ("comments", "転送を続けてよいのはどのメールボックスでしょうか。所有者の回答を木曜日まで待ちます。"),
            ),
            answer="広報部のメールボックスは転送を続けて構いません。もう 1 件は所有者に確認中です。",
            refused_answer="もう 1 件は、所有者によると転送は不要とのことです。",
        ),
        Story(
            "incident",
            "security",
            "管理対象外のデバイスをオンボードする",
            "9 台のノート PC が、エンドポイント保護にオンボードされないままメールを利用しています。",
            "moderate",
            "devices",
            due_in_days=45,
            steps=(_WORKED_ON, _RESOLVED),
        ),
        Story(
            "change",
            "compliance",
            "監査ログの保持期間を 1 年に延長する",
            "現在の保持期間は 90 日ですが、ポリシーでは 1 年が必要です。",
            "moderate",
            "data",
            source="user",
            due_in_days=60,
            steps=(_ASSESSED, _APPROVED),
        ),
        Story(
            "change",
            "security",
            "攻撃面の減少ルールを展開する",
            "2 週間は監査モードで運用し、その後ブロックします。",
            "high",
            "devices",
            due_in_days=25,
            steps=(_ASSESSED,),
        ),
        Story(
            "change",
            "security",
            "踏み台サーバーへの RDP 接続を制限する",
            "2 台のサーバーで、ポート 3389 がインターネットに公開されています。",
            "critical",
            "infrastructure",
            due_in_days=5,
        ),
        Story(
            "incident",
            "security",
            "確認済みの発行元のアプリにのみ同意を許可する",
            "だれでも任意のアプリに同意できる状態です。",
            "high",
            "apps",
            due_in_days=14,
            refused=True,
        ),
        Story(
            "incident",
            "security",
            "管理者に多要素認証を必須にする",
            "3 人の管理者が、パスワードだけでサインインできる状態です。",
            "high",
            "identity",
            due_in_days=10,
            steps=(_WORKED_ON, _RESOLVED),
            recommendation=_SCORE | {"id": "AdminMFAV2"},
        ),
        Story(
            "incident",
            "security",
            "ゲスト アカウントの常時アクセスを削除する",
            "17 人のゲストが、春に終了したチームへのアクセス権を持ち続けています。",
            "low",
            "identity",
        ),
    ),
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "en": {
        "display_name": "Contoso",
        "kinds": {
            "incident": {"regressed": "reopen"},
            "change": {"state_names": {"-4": "Being assessed"}, "not_fixed": "new_ticket", "regressed": "new_ticket"},
        },
    },
    "ja": {
        "display_name": "Contoso 株式会社",
        "language": "ja",
        "time_zone": "Asia/Tokyo",
        "kinds": {
            "incident": {
                "state_names": {
                    "1": "新規",
                    "2": "対応中",
                    "3": "保留",
                    "6": "解決済み",
                    "7": "クローズ",
                    "8": "取り消し",
                },
                "regressed": "reopen",
            },
            "change": {
                "state_names": {
                    "-5": "新規",
                    "-4": "評価中",
                    "-3": "承認待ち",
                    "-2": "予定済み",
                    "-1": "実施中",
                    "0": "レビュー中",
                    "3": "クローズ",
                    "4": "取り消し",
                },
                "not_fixed": "new_ticket",
                "regressed": "new_ticket",
            },
        },
    },
}
"""The connection's settings for the stories."""


def register_client(host: FunctionsHost, control: ControlClient) -> dict[str, str]:
    """Register the app in ServiceNow; return the row with ``client_id`` and ``client_secret``."""
    return control.create_oauth_client("Microsoft 365 tickets", f"{host.public_url}/api/oauth/callback")


def connect(
    host: FunctionsHost,
    servicenow: ServiceNow,
    connection_id: str = "contoso",
    *,
    authorize: bool = True,
    **settings: Any,
) -> None:
    """Connect the portal to the instance over the HTTP API, and authorize it as the integration user."""
    with ControlClient(servicenow.url) as control, PortalUser(ADMINISTRATOR, host.public_url) as administrator:
        client = register_client(host, control)
        body = {
            "display_name": "Contoso",
            "instance": servicenow.url,
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "integration_user": INTEGRATION_USER.user_name,
            **settings,
        }
        administrator.call("PUT", f"/api/connections/{connection_id}", body)
        if authorize:
            start = administrator.visit(f"/api/oauth/authorize?connection_id={connection_id}")
            callback = sign_in_and_consent(
                start.headers["Location"], INTEGRATION_USER.user_name, INTEGRATION_USER.password
            )
            if not (answer := administrator.come_back(callback)).is_redirect:
                raise UnexpectedAnswerError(f"the callback answered {answer.status_code}: {answer.text}")


def set_further_fields(host: FunctionsHost, servicenow: ServiceNow, language: str = "en") -> None:
    """Give incidents further fields with a fixed value, by names that ServiceNow shows since the consent."""
    further = [{"column": "cmdb_ci", "value": "Exchange Online"}, {"column": "contact_type", "value": "Monitoring"}]
    settings = SETTINGS[language]
    body = {
        **settings,
        "instance": servicenow.url,
        "integration_user": INTEGRATION_USER.user_name,
        "kinds": settings["kinds"] | {"incident": settings["kinds"]["incident"] | {"fixed_fields": further}},
    }
    with PortalUser(ADMINISTRATOR, host.public_url) as administrator:
        body["client_id"] = administrator.call("GET", "/api/connections/contoso")["client_id"]
        administrator.call("PUT", "/api/connections/contoso", body)


def add_tenants(host: FunctionsHost, language: str = "en") -> None:
    """Add the tenant of the app, read it and import a workbook of Compliance Manager; add one that nobody permits."""
    with PortalUser(ADMINISTRATOR, host.public_url) as administrator:
        details = {"name": SETTINGS[language]["display_name"], "connection_id": "contoso"}
        administrator.call("PUT", f"/api/tenants/{E5}", details)
        read_tenant(administrator)
        administrator.upload(f"/api/tenants/{E5}/import", FILE_NAME, export_workbook())
        add_customers_tenant(administrator, BUSINESS_PREMIUM)


def add_customers_tenant(administrator: PortalUser, tenant_id: str) -> None:
    """Add a customer's tenant, which has not consented yet, and make the link for its administrator."""
    administrator.call("PUT", f"/api/tenants/{tenant_id}", {"name": "Fabrikam"})
    administrator.call("POST", f"/api/tenants/{tenant_id}/read")
    administrator.call("POST", f"/api/tenants/{tenant_id}/consent")


def read_tenant(administrator: PortalUser) -> dict[str, Any]:
    """Read the tenant of the app, or wait until the timer has read it; return it as the API does.

    Raises:
        UnexpectedAnswerError: It could not be read.
    """
    path = f"/api/tenants/{E5}"
    before = administrator.call("GET", path)["read_at"]
    deadline = time.monotonic() + _WAIT_S
    tenant = administrator.call("POST", f"{path}/read")
    while not tenant or tenant["read_at"] == before:
        if time.monotonic() > deadline or (tenant and tenant["last_error"]):
            raise UnexpectedAnswerError(f"the tenant was not read: {tenant}")
        time.sleep(_POLL_S)
        tenant = administrator.call("GET", path)
    return tenant


def synchronize(user: PortalUser, connection_id: str = "contoso") -> dict[str, Any]:
    """Synchronise the tickets, once the timer's own run is over if there is one, and return the counts.

    Raises:
        UnexpectedAnswerError: The other run does not end.
    """
    deadline = time.monotonic() + _WAIT_S
    while not (counts := user.call("POST", f"/api/connections/{connection_id}/sync")):
        if time.monotonic() > deadline:
            raise UnexpectedAnswerError("somebody else keeps on synchronising")
        time.sleep(_POLL_S)
    return counts


def run_timer(host: FunctionsHost, operator: PortalUser) -> None:
    """Let the timer run now instead of at the next full minute, as an operator can; it does not wait for the end."""
    operator.call("POST", "/admin/functions/maintain", {}, headers={"x-functions-key": host.master_key})


def create_recommended_tickets(host: FunctionsHost, servicenow: ServiceNow) -> Sequence[Mapping[str, Any]]:
    """Make tickets of the recommendations with the most points to gain, and let agents work on them.

    Returns:
        These recommendations as the API had them, in the order of :data:`FOLLOWED`.
    """
    return _create_followed(host, servicenow, FOLLOWED)


def create_waiting_ticket(host: FunctionsHost, servicenow: ServiceNow) -> None:
    """Make one more ticket, which is resolved at once, so that no measurement says anything about it yet."""
    _create_followed(host, servicenow, (Followed("incident", (_WORKED_ON, _RESOLVED)),))


def _create_followed(
    host: FunctionsHost, servicenow: ServiceNow, tickets: Sequence[Followed]
) -> Sequence[Mapping[str, Any]]:
    with ControlClient(servicenow.url) as control, PortalUser(REQUESTER, host.public_url) as requester:
        best = requester.call("GET", f"/api/recommendations?{MOST_POINTS}&limit={len(tickets)}")["recommendations"]
        for recommendation, followed in zip(best, tickets, strict=True):
            wanted = {"tenant_id": E5, "kind": followed.kind, "recommendation_ids": [recommendation["id"]]}
            ticket = requester.call("POST", "/api/tickets", wanted)
            _work_on(control, followed.kind, ticket["ticket_id"], followed.steps)
        synchronize(requester)
        recommendations: list[dict[str, Any]] = best
        return recommendations


def let_days_pass(world: World, hosts: Collection[FunctionsHost], recommendations: Sequence[Mapping[str, Any]]) -> None:
    """Do what :data:`FOLLOWED` says and let :data:`DAYS` pass everywhere; the apps read the tenant on each day.

    Raises:
        UnexpectedAnswerError: Measurements say something else of a ticket than :data:`FOLLOWED`.
    """
    with world.graph.control() as graph:
        for day in range(DAYS):
            for recommendation, followed in zip(recommendations, FOLLOWED, strict=True):
                deed = {0: followed.deed, LATER: followed.later}.get(day, _nothing)
                deed(graph, recommendation["source_id"])
            world.time.pass_days()
            for host in hosts:
                with PortalUser(ADMINISTRATOR, host.public_url) as administrator:
                    read_tenant(administrator)
                    _send_updates(host, administrator)
    for host in hosts:
        with PortalUser(ADMINISTRATOR, host.public_url) as administrator:
            _expect_outcomes(administrator, recommendations)


def _send_updates(host: FunctionsHost, administrator: PortalUser) -> None:
    """Let the timer run until ServiceNow has every change that waits for it."""
    deadline = time.monotonic() + _WAIT_S
    waiting = [each["ticket_id"] for each in administrator.call("GET", "/api/tickets")["tickets"]]
    while waiting := [each for each in waiting if administrator.call("GET", f"/api/tickets/{each}")["updates"]]:
        if time.monotonic() > deadline:
            raise UnexpectedAnswerError(f"ServiceNow did not get what waits for it: {waiting}")
        run_timer(host, administrator)
        time.sleep(_POLL_S)


def _wait_for_evidence(host: FunctionsHost, administrator: PortalUser, tickets: int) -> None:
    """Let the timer run until the evidence has the creation of each ticket."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        found = administrator.call("GET", "/api/evidence")
        if found["population"] + found["other_tickets"] >= tickets:
            return
        if time.monotonic() > deadline:
            raise UnexpectedAnswerError(f"the evidence does not have all of {tickets} tickets")
        run_timer(host, administrator)
        time.sleep(_POLL_S)


def _expect_outcomes(administrator: PortalUser, recommendations: Sequence[Mapping[str, Any]]) -> None:
    tickets = administrator.call("GET", "/api/tickets")["tickets"]
    oldest = {item["id"]: item["outcome"] for each in tickets for item in each["verification"]["recommendations"]}
    found = [oldest[each["id"]] for each in recommendations]
    if found != (wanted := [each.outcome for each in FOLLOWED]):
        raise UnexpectedAnswerError(f"the outcomes are {found} where {wanted} were expected")


def create_tickets(host: FunctionsHost, servicenow: ServiceNow, language: str = "en") -> list[dict[str, Any]]:
    """Create the tickets of the stories over the HTTP API, let agents work on them, and sync their states.

    Returns:
        The tickets as the API returns them, in the order of the stories.
    """
    with (
        ControlClient(servicenow.url) as control,
        PortalUser(ADMINISTRATOR, host.public_url) as administrator,
        PortalUser(REQUESTER, host.public_url) as requester,
    ):
        for story in STORIES[language]:
            if story.refused:
                with _refusing(control, story.kind, "insert"), contextlib.suppress(UnexpectedAnswerError):
                    requester.call("POST", "/api/tickets", _request(story))
            else:
                ticket = requester.call("POST", "/api/tickets", _request(story))
                _work_on(control, story.kind, ticket["ticket_id"], story.steps)
                _talk(control, requester, ticket, story)
        synchronize(administrator)
        tickets: list[dict[str, Any]] = requester.call("GET", "/api/tickets")["tickets"]
        _wait_for_evidence(host, administrator, len(tickets))
        return tickets[::-1]


def _work_on(control: ControlClient, kind: str, ticket_id: str, steps: Iterable[Mapping[str, str]]) -> None:
    """Do what agents and approvers do with a record."""
    for step in steps:
        if step is _APPROVED:
            control.decide_change(ticket_id, "approved")
        else:
            control.change_record(_TABLES[kind], ticket_id, step, as_user="agent.smith")


def _talk(control: ControlClient, requester: PortalUser, ticket: Mapping[str, Any], story: Story) -> None:
    """Let agents write about a ticket, and its requester answer."""
    for column, text in story.said:
        control.comment(ticket["servicenow"]["number"], text, column=column, as_user="agent.smith")
    updates = f"/api/tickets/{ticket['ticket_id']}/updates"
    if story.answer:
        requester.call("POST", updates, {"comment": story.answer})
    if story.refused_answer:
        with _refusing(control, story.kind, "update"):
            requester.call("POST", updates, {"comment": story.refused_answer})


@contextlib.contextmanager
def _refusing(control: ControlClient, kind: str, operation: Literal["insert", "update"]) -> Iterator[None]:
    """Have a business rule that refuses what is done to tickets of a kind."""
    rule = {
        "name": "Freeze before the audit",
        "collection": _TABLES[kind],
        "active": "true",
        "abort_action": "true",
        f"action_{operation}": "true",
        "filter_condition": "",
    }
    sys_id = control.insert_record("sys_script", rule)["sys_id"]
    try:
        yield
    finally:
        control.delete_record("sys_script", sys_id)


def _request(story: Story) -> dict[str, Any]:
    due = None if story.due_in_days is None else datetime.now(UTC).date() + timedelta(days=story.due_in_days)
    return {
        "kind": story.kind,
        "portal": story.portal,
        "name": story.name,
        "description": story.description,
        "priority": story.priority,
        "due_date": due and due.isoformat(),
        "recommendation": {"source": story.source, "category": story.category, **story.recommendation},
    }
