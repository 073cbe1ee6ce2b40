"""Does the main job once and shows each step: connect, create tickets, sync states, see what became of the tickets."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from sandbox.demonstration import run_timer, synchronize
from sandbox.entra.registration import consent_to
from sandbox.functions_host.authentication import Person as PortalPerson
from sandbox.functions_host.authentication import Tenant
from sandbox.graph.stage.control.client import ControlError as GraphControlError
from sandbox.graph.stage.seed.tenants import FREE
from sandbox.managed_identity.process import ROLES
from sandbox.narration import Narration, StepFailedError
from sandbox.outcome_story import OutcomeStory
from sandbox.portal import PortalUser, UnexpectedAnswerError
from sandbox.score_story import ScoreStory
from sandbox.servicenow.stage.browser import WalkError, sign_in_and_consent
from sandbox.servicenow.stage.control.client import ControlClient, ControlError
from sandbox.servicenow.stage.seed.people import PEOPLE, Person, group_sys_id, user_sys_id
from sandbox.webhooks.process import WebhookReceivers
from sandbox.world import PEOPLE as PEOPLE_FILE
from sandbox.world import FunctionsHost, World
from shared.outbound.transport import USER_AGENT

CONNECTION_ID = "contoso"
CONNECTION = f"/api/connections/{CONNECTION_ID}"
_TIMER_WAIT_S = 60.0
_TIMER_POLL_S = 1.0

INCIDENT = {
    "kind": "incident",
    "portal": "security",
    "name": "Require multifactor authentication for administrators",
    "description": "Three administrators can still sign in with a password alone.",
    "priority": "high",
    "due_date": "2030-06-30",
    "recommendation": {
        "source": "microsoft",
        "category": "identity",
        "id": "AdminMFAV2",
        "link": "https://security.microsoft.com/securescore?viewid=actions",
    },
}
CHANGE = {
    "kind": "change",
    "portal": "compliance",
    "name": "Turn on audit log retention for one year",
    "description": "Retention is ninety days; the policy asks for a year.",
    "priority": "moderate",
    "due_date": "2030-09-30",
    "recommendation": {"source": "user", "category": "data"},
}


class Walkthrough:
    """Plays every person of the story in a running world.

    Args:
        world: Where it happens, at least :data:`sandbox.outcome_story.DAYS` ago.
        host: A Functions host with the app in it.
        receivers: Receive reminders.
        show: Receives each line of the story.
    """

    def __init__(
        self,
        world: World,
        host: FunctionsHost,
        receivers: WebhookReceivers,
        show: Callable[[str], None] = print,
    ) -> None:
        self._world = world
        self._servicenow = world.servicenow
        self._host = host
        self._receivers = receivers
        self._story = Narration(show)

    def run(self) -> None:
        """Play the whole story.

        Raises:
            StepFailedError: A step failed.
        """
        tenant = Tenant.read(PEOPLE_FILE)
        administrator, requester = (_portal_person(tenant, name) for name in ("Megan Bowen", "Adele Vance"))
        try:
            with (
                ControlClient(self._servicenow.url) as self._control,
                PortalUser(administrator, self._host.public_url) as megan,
                PortalUser(requester, self._host.public_url) as adele,
            ):
                client = self._register_client()
                self._connect(megan, client)
                self._authorize(megan)
                incident = self._create(adele, INCIDENT)
                change = self._create(adele, CHANGE)
                self._begin_work(incident, change)
                self._wait_for_timer(megan, adele, [incident, change])
                self._resolve(incident)
                self._sync(megan, adele, incident)
                with ScoreStory(self._world, self._control, self._story) as score:
                    carried_out = score.play(megan, adele)
                with OutcomeStory(self._world, self._control, self._host, self._story, megan, adele) as outcome:
                    outcome.play(carried_out)
                self._remind(megan)
                self._let_in(megan)
                self._summarise(adele)
                self._add_customer(megan, adele, client)
        except (UnexpectedAnswerError, ControlError, GraphControlError, WalkError, httpx.HTTPError) as error:
            raise StepFailedError(str(error)) from error

    # The steps

    def _register_client(self) -> dict[str, str]:
        self._story.step("The ServiceNow administrator registers an OAuth client for the app")
        redirect_uri = f"{self._host.public_url}/api/oauth/callback"
        client = self._control.create_oauth_client("Microsoft 365 tickets", redirect_uri)
        self._story.detail("redirect URL", redirect_uri)
        self._story.detail("client id", client["client_id"])
        self._story.detail("client secret", "told to Megan, shown to nobody")
        return client

    def _connect(self, megan: PortalUser, client: dict[str, str]) -> None:
        self._story.step("Megan Bowen (security administrator) connects the portal to the instance")
        connection = megan.call(
            "PUT",
            CONNECTION,
            {
                "display_name": "Contoso",
                "instance": self._servicenow.url,
                "client_id": client["client_id"],
                "client_secret": client["client_secret"],
                "integration_user": _integration_user().user_name,
                "kinds": {"change": {"state_names": {"-4": "Being assessed"}, "regressed": "new_ticket"}},
            },
        )
        self._story.expect("status", connection["status"], "awaiting_authorization")
        self._story.expect("client secret shown", client["client_secret"] in str(connection), False, "no")

    def _authorize(self, megan: PortalUser) -> None:
        user = _integration_user()
        self._story.step(
            f"Megan Bowen authorizes it: ServiceNow asks for a log-in, {user.user_name} logs in and allows it"
        )
        start = megan.visit(f"/api/oauth/authorize?connection_id={CONNECTION_ID}")
        self._story.expect("answer", start.status_code, 302)
        callback = sign_in_and_consent(start.headers["Location"], user.user_name, user.password)
        returned = megan.come_back(callback)
        if not returned.is_redirect:
            raise StepFailedError(f"the callback answered {returned.status_code}: {returned.text}")
        self._story.detail("back at", returned.headers["Location"])
        connection = megan.call("GET", CONNECTION)
        self._story.expect("status", connection["status"], "connected")
        self._story.detail("access token until", connection["access_token_expires_at"])
        self._story.detail("consent until", f"{connection['consent_ends_at']} ({connection['consent_days_left']} days)")
        self._show_requests()

    def _create(self, adele: PortalUser, wanted: dict[str, Any]) -> dict[str, Any]:
        kind = {"incident": "an incident", "change": "a change request"}[wanted["kind"]]
        self._story.step(f"Adele Vance sends a recommendation as {kind}: {wanted['name']}")
        key = {"Idempotency-Key": f"walkthrough-{wanted['kind']}"}
        ticket = adele.call("POST", "/api/tickets", wanted, headers=key)
        self._story.expect("delivery", ticket["delivery"]["status"], "delivered")
        record = ticket["servicenow"]
        self._story.detail("number", record["number"])
        self._story.detail("link", record["link"])
        self._story.detail("state", _state(ticket))
        self._show_requests()
        again = adele.call("POST", "/api/tickets", wanted, headers=key)
        self._story.expect("sent again", again["servicenow"]["number"], record["number"])
        self._show_requests()
        return ticket

    def _begin_work(self, incident: dict[str, Any], change: dict[str, Any]) -> None:
        agent = _agent()
        self._story.step(f"{agent.first_name} {agent.last_name} (ServiceNow agent) starts on both")
        self._work(incident, {"state": "2", "assigned_to": user_sys_id(agent.user_name), "work_notes": "On it."})
        self._work(change, {"state": "-4", "assignment_group": group_sys_id("Change Management")})

    def _wait_for_timer(self, megan: PortalUser, adele: PortalUser, tickets: list[dict[str, Any]]) -> None:
        self._story.step("The timer runs and brings the states back")
        deadline = time.monotonic() + _TIMER_WAIT_S
        for before in tickets:
            while (after := _ticket(adele, before))["phase"] != "in_progress":
                if time.monotonic() > deadline:
                    raise StepFailedError(f"no new state within {_TIMER_WAIT_S:g} seconds: {_state(after)}")
                run_timer(self._host, megan)
                time.sleep(_TIMER_POLL_S)
            self._story.detail(after["servicenow"]["number"], f"{_state(before)} → {_state(after)}")
        self._show_requests()

    def _resolve(self, incident: dict[str, Any]) -> None:
        agent = _agent()
        self._story.step(f"{agent.first_name} {agent.last_name} resolves the incident; meanwhile the access token ends")
        self._work(
            incident,
            {"state": "6", "close_code": "Solution provided", "close_notes": "Enforced by Conditional Access."},
        )
        revoked = self._control.revoke_tokens(user_name=_integration_user().user_name, token_type="access_token")
        self._story.expect("access tokens ended", revoked, 1)

    def _sync(self, megan: PortalUser, adele: PortalUser, incident: dict[str, Any]) -> None:
        self._story.step("Adele Vance asks for the present state; the app renews its token on the way")
        before = _ticket(adele, incident)
        counts = synchronize(adele)
        self._story.detail("tickets changed", counts["applied"])  # 0 if the timer's run was a moment earlier
        after = _ticket(adele, incident)
        self._story.expect("phase", after["phase"], "resolved")
        self._story.detail(after["servicenow"]["number"], f"{_state(before)} → {_state(after)}")
        connection = megan.call("GET", CONNECTION)
        self._story.expect("status", connection["status"], "connected")
        self._story.detail("access token until", connection["access_token_expires_at"])
        self._show_requests()
        self._story.heading("The incident's timeline")
        for event in after["timeline"]:
            details = ", ".join(f"{name} {value}" for name, value in event["details"].items())
            self._story.detail(f"  {event['at'][:19]}Z", f"{event['kind']:14} {details}".rstrip())

    def _remind(self, megan: PortalUser) -> None:
        self._story.step("Megan Bowen has reminders sent to a Teams channel and to a program")
        path = f"{CONNECTION}/reminders"
        with httpx.Client(
            base_url=self._receivers.url, verify=ssl.create_default_context(cafile=self._world.certificates.authority)
        ) as receivers:
            flow = receivers.post("/sandbox/flows", json={}).raise_for_status().json()["path"]
            zone = ZoneInfo(megan.call("GET", path)["time_zone"])
            soon = datetime.now(zone) + timedelta(seconds=self._world.time.ahead_s + 60)
            stored = megan.call(
                "PUT",
                path,
                {
                    "teams_address": f"{self._receivers.url}{flow}",
                    "webhook_address": f"{self._receivers.url}/hooks/contoso",
                    "digest": {"weekday": soon.isoweekday(), "at": f"{soon:%H:%M}"},
                },
            )
            receivers.put("/sandbox/hooks/contoso", json={"secret": stored["new_signing_secret"]}).raise_for_status()
            for message in megan.call("POST", f"{path}/test")["messages"]:
                self._story.expect(f"test message to {message['receiver']}", message["state"], "delivered")
            arrived = receivers.get("/sandbox/arrived").raise_for_status().json()
            self._story.expect("arrived", [each["receiver"] for each in arrived], ["teams", "webhook"])
        self._story.detail("digest", f"at {soon:%H:%M}; what arrives is shown at {self._receivers.url}/")

    def _let_in(self, megan: PortalUser) -> None:
        self._story.step("A customer's administrator lets the app read another tenant, Fabrikam")
        path = f"/api/tenants/{FREE}"
        megan.call("PUT", path, {"name": "Fabrikam"})
        link = megan.call("POST", f"{path}/consent")["link"]
        self._story.detail("link to send", link.partition("?")[0])
        answer = httpx.get(consent_to(link, self._world.certificates), trust_env=False)
        self._story.expect("the administrator comes back", answer.status_code, httpx.codes.OK)
        deadline = time.monotonic() + _TIMER_WAIT_S
        tenant = megan.call("POST", f"{path}/read") or megan.call("GET", path)
        while tenant["status"] is None and time.monotonic() < deadline:
            time.sleep(_TIMER_POLL_S)
            tenant = megan.call("GET", path)
        self._story.expect("only a token shows a consent", tenant["roles"], list(ROLES))
        self._story.expect("Fabrikam", tenant["status"], "readable")

    def _summarise(self, adele: PortalUser) -> None:
        self._story.step("Adele Vance looks at the counts")
        kinds = adele.call("GET", "/api/tickets/summary")["kinds"]
        for kind, counts in kinds.items():
            phases = ", ".join(f"{phase} {count}" for phase, count in counts["phases"].items() if count)
            self._story.detail(kind, f"{phases}; open {counts['open']}, overdue {counts['overdue']}")
        self._story.expect("resolved incidents", kinds["incident"]["phases"]["resolved"], 2)
        self._story.expect(
            "waiting or failed", sum(counts["pending"] + counts["failed"] for counts in kinds.values()), 0
        )

    def _add_customer(self, megan: PortalUser, adele: PortalUser, client: dict[str, str]) -> None:
        self._story.step("Megan Bowen adds a second customer from a file; Adele Vance sees all customers at a glance")
        row = {
            "connection_id": "fabrikam",
            "display_name": "Fabrikam",
            "instance": self._servicenow.url,
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "integration_user": _integration_user().user_name,
            "customer_group": "North",
        }
        file = "\r\n".join((",".join(row), ",".join(row.values()))).encode()
        result = megan.upload("/api/connection-imports", "customers.csv", file)
        self._story.expect("connections added", result["added"], 1)
        megan.call("PUT", f"/api/tenants/{FREE}", {"name": "Fabrikam", "connection_id": "fabrikam"})
        customers = adele.call("GET", "/api/portfolio")["customers"]
        self._story.expect("customers", [each["name"] for each in customers], ["Contoso", "Fabrikam"])
        for each in customers:
            self._story.expect(f"{each['name']} has a score", each["percent"] is not None, True, f"{each['percent']} %")
            self._story.detail("", f"{each['status']}; tickets open {each['open']}, regressed {each['regressed']}")

    # Parts of the steps

    def _work(self, ticket: dict[str, Any], values: dict[str, str]) -> None:
        """Change a record through ServiceNow's own Table API, as the agent."""
        agent, record = _agent(), ticket["servicenow"]
        answer = httpx.patch(
            f"{self._servicenow.url}/api/now/table/{record['table']}/{record['sys_id']}",
            params={"sysparm_display_value": "all", "sysparm_fields": "number,state"},
            json=values,
            auth=(agent.user_name, agent.password),
            trust_env=False,
        )
        if not answer.is_success:
            raise StepFailedError(f"ServiceNow answered {answer.status_code}: {answer.text}")
        result = answer.json()["result"]
        self._story.expect(
            record["number"], result["state"]["value"], values["state"], result["state"]["display_value"]
        )

    def _show_requests(self) -> None:
        requests = [entry for entry in self._control.requests() if entry["user_agent"] == USER_AGENT]
        so_far = [f"{entry['method']} {entry['path_class']} {entry['status']}" for entry in requests]
        self._story.requests("ServiceNow", so_far)


def _ticket(user: PortalUser, ticket: dict[str, Any]) -> dict[str, Any]:
    return user.call("GET", f"/api/tickets/{ticket['ticket_id']}")


def _state(ticket: dict[str, Any]) -> str:
    return f"{ticket['servicenow']['state_name']} ({ticket['phase']})"


def _portal_person(tenant: Tenant, name: str) -> PortalPerson:
    return next(person for person in tenant.people if person.name == name)


def _servicenow_person(user_name: str) -> Person:
    return next(person for person in PEOPLE if person.user_name == user_name)


def _integration_user() -> Person:
    return _servicenow_person("m365.connector")


def _agent() -> Person:
    return _servicenow_person("agent.smith")
