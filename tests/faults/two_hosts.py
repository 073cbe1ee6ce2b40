"""Two hosts of one app, with gates in front of all their servers, and a schedule that they go through."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from sandbox.graph.stage.seed.tenants import E5, PLANS
from sandbox.portal import UnexpectedAnswerError
from sandbox.processes import SandboxError
from sandbox.servicenow.stage.browser import sign_in_and_consent
from sandbox.world import FunctionsHost, World
from tests.faults.gate import Gate, serving
from tests.faults.schedule import (
    DAY_S,
    HOSTS,
    KEYS,
    RECOMMENDATIONS,
    Action,
    Authorize,
    CloseOnPaper,
    Comment,
    Create,
    Fix,
    Host,
    KillHost,
    KillWorker,
    LeaveOut,
    PassTime,
    PauseHost,
    Postpone,
    ReadTenant,
    Recommend,
    Revoke,
    RunTimer,
    Schedule,
    Work,
    WrongDay,
)
from tests.fixtures.whole_app import PASSWORD, Connected, WholeApp, daemon

AGENT = "agent.smith"
TENANT = f"/api/tenants/{E5}"
SMALL = next(plan for plan in PLANS if plan.maxima)
"""What the tenant has: few controls, so that readings are short."""
LEFT_OUT = "AzureAD"
"""The product that Microsoft leaves out of partial answers."""
_DAILY = ("exo_", "mdo_")
"""How the ids of controls begin that Microsoft measures every day (Microsoft Graph §1.6)."""
RECOMMENDED = "A ticket for a recommendation"
_NOT_CHANGED = {"record_already_closed", "record_gone", "ticket_not_delivered", "too_many_updates", "update_under_way"}
_REFUSALS = {"recommendation_has_open_ticket", "ticket_being_created", "ticket_given_up"}
HOUR_S = 3600.0
RECOVERY_S = (HOUR_S, HOUR_S, DAY_S, DAY_S, HOUR_S)
"""At the end, the timers run undisturbed after each of these waits in seconds; two of them are nights."""
TURN_TAKES_S = 3.0
"""After this time the next turn begins, even if something is still running."""
_IDLE_WITHIN_S = 5.0
_POLL_S = 0.005

_INCIDENT_STEPS: tuple[Mapping[str, str], ...] = (
    {"state": "2", "assignment_group": "Service Desk"},
    {"state": "3", "hold_reason": "3"},
    {"state": "6", "close_code": "Solution provided", "close_notes": "Done."},
    {"state": "8"},
)
_CHANGE_STEPS: Mapping[str, Mapping[str, str]] = {
    "-5": {"state": "-4", "assignment_group": "Change Management"},
    "-4": {"state": "4"},
}
"""The next step of a change, by its state."""


@dataclass
class Consent:
    """The test's knowledge of the consent.

    Attributes:
        lives: It has not been revoked since the last authorization that is known to have succeeded.
        may_live: Somebody has tried to authorize since it was revoked, with an unknown result.
    """

    lives: bool = True
    may_live: bool = True


@dataclass
class TwoHosts:
    """See the module's description.

    Attributes:
        ahead_s: How far each host's clock is ahead of the machine's.
        told: The ids in the answers to each key.
        recommended: The ids of some recommendations, and those in the answers to requests for tickets for each.
        controls: Microsoft's ids of the same recommendations.
        commented: The ticket that each comment is for.
        accepted: Comments that are in ServiceNow or will be, as an answer says.
        surprises: Answers that no fault explains.
    """

    app: WholeApp
    connected: Connected
    hosts: list[FunctionsHost]
    gates: Mapping[str, Gate]
    schedule: Schedule
    ahead_s: list[float]
    told: dict[int, list[str]] = field(default_factory=lambda: {key: [] for key in range(KEYS)})
    recommended: dict[str, list[str]] = field(default_factory=dict)
    controls: list[str] = field(default_factory=list)
    commented: dict[int, str] = field(default_factory=dict)
    accepted: set[int] = field(default_factory=set)
    surprises: list[str] = field(default_factory=list)
    consent: Consent = field(default_factory=Consent)
    _working: Lock = field(default_factory=Lock)
    _clocks: Lock = field(default_factory=Lock)
    _consenting: Lock = field(default_factory=Lock)
    _changing: tuple[Lock, Lock] = field(default_factory=lambda: (Lock(), Lock()))

    # The storm

    def suffer(self) -> Mapping[str, str]:
        """Run the schedule and wait until everything has ended; return the number of requests with mishaps."""
        for service, gate in self.gates.items():
            gate.begin(self.schedule.plans[service])
        done: list[Future[None]] = []
        with ThreadPoolExecutor(sum(map(len, self.schedule.turns))) as threads:
            for turn in self.schedule.turns:
                begun = time.monotonic()
                for at_s, action in turn:
                    time.sleep(max(0.0, begun + at_s - time.monotonic()))
                    if isinstance(action, PassTime):
                        self.pass_time(action.seconds)
                    else:
                        done.append(threads.submit(self._act, action))
                wait(done, timeout=TURN_TAKES_S)
            met = {service: f"{gate.met} of {len(gate.passed)}" for service, gate in self.gates.items()}
            for gate in self.gates.values():
                gate.begin()
            with self.app.world.graph.control() as graph:
                graph.clear_faults()
        for each in done:
            each.result()
        for host in self.hosts:
            self._wait_until_up(host)
        self._wait_until_idle()
        return met

    def _act(self, action: Action) -> None:
        match action:
            case Create(host, key):
                self.create(host, key)
            case Work(which, step):
                self._work(which, step)
            case RunTimer(host):
                self._run_timer(host)
            case KillHost(host):
                self._kill(host)
            case KillWorker(host):
                self.hosts[host].process.popen.send_signal(signal.SIGUSR1)
            case PauseHost(host, seconds):
                self._pause(host, seconds)
            case WrongDay(host):
                self._wrong_day(host)
            case Revoke(everything):
                self._revoke(everything)
            case Authorize(host):
                self.authorize(host)
            case ReadTenant(host):
                self._read_tenant(host)
            case Recommend(host, which):
                self._recommend(host, which)
            case Comment(host, key, which):
                self._comment(host, key, which)
            case Postpone(host, which, day):
                if ticket_id := self._any_ticket(which):
                    self._change(host, ticket_id, {"due_date": f"2031-05-{day:02}"})
            case CloseOnPaper(which):
                self._close_on_paper(which)
            case Fix(which):
                with self.app.world.graph.control() as graph:
                    graph.fix(E5, self.controls[which])
            case LeaveOut(answers):
                with self.app.world.graph.control() as graph:
                    graph.set_fault("partial", service=LEFT_OUT, remaining=answers)

    def create(self, host: Host, key: int) -> int | None:
        """Ask for a ticket under a key; return the status, or None without an answer."""
        body = self.connected.ticket(
            name=self.name_of(key), kind="change" if key % 4 == 3 else "incident", description=f"Ticket {key}."
        )
        program = self.app.program(daemon().token, self.hosts[host])
        try:
            answer = program.ask("POST", "/api/tickets", body, headers={"Idempotency-Key": self.name_of(key)})
        except httpx.TransportError:
            return None
        finally:
            program.close()
        if answer.status_code in {201, 202}:
            self.told[key].append(answer.json()["ticket_id"])
        elif answer.status_code not in {500, 503} or "internal_error" in answer.text:
            self.surprises.append(f"key {key} was answered {answer.status_code} {answer.text}")
        return answer.status_code

    def name_of(self, key: int) -> str:
        """The name of a key's ticket."""
        return f"Schedule {self.schedule.seed}, key {key}"

    def add_tenant(self) -> None:
        """Add the tenant, read it, and choose the recommendations.

        The last of them is one that Microsoft measures every day. Its ticket is closed at once, although nobody does
        anything about it, and nobody else asks for one: so a policy does.
        """
        with self.app.visitor("Megan Bowen", self.hosts[0]) as megan:
            settings = {"name": "Contoso", "connection_id": self.connected.connection_id}
            megan.call("PUT", TENANT, settings)
            assert megan.call("POST", f"{TENANT}/read")["status"] == "readable"
        listed = self.ask("/api/recommendations?sort=points_to_gain&descending=true&limit=100")["recommendations"]
        on_paper = next(each for each in listed if each["source_id"].startswith(_DAILY))
        others = [each for each in listed if each is not on_paper]
        chosen = [*others[:RECOMMENDATIONS], on_paper]
        self.recommended = {each["id"]: [] for each in chosen}
        self.controls = [each["source_id"] for each in chosen]
        self._recommend(0, RECOMMENDATIONS)
        self._close_on_paper(RECOMMENDATIONS)

    def _read_tenant(self, host: Host) -> None:
        self._send(host, f"{TENANT}/read", None, expected={200, 202})

    def _recommend(self, host: Host, which: int) -> None:
        key = list(self.recommended)[which]
        wanted = {"kind": "incident", "recommendation_ids": [key], "name": RECOMMENDED}
        answer = self._send(host, "/api/tickets", wanted, expected={201, 202, 409})
        if answer is not None and answer.status_code in {201, 202}:
            self.recommended[key].append(answer.json()["ticket_id"])
        elif answer is not None and answer.status_code == 409 and answer.json()["code"] not in _REFUSALS:
            self.surprises.append(f"a ticket for {key} was answered {answer.text}")

    def comment_of(self, key: int) -> str:
        """The text of a comment."""
        return f"Schedule {self.schedule.seed}, comment {key}."

    def _any_ticket(self, which: float) -> str | None:
        told = [ids[0] for ids in (*self.told.values(), *self.recommended.values()) if ids]
        return told[int(which * len(told))] if told else None

    def _comment(self, host: Host, key: int, which: float) -> None:
        with self._working:
            ticket_id = self.commented.get(key) or self._any_ticket(which)
            if ticket_id is None:
                return
            self.commented[key] = ticket_id
        headers = {"Idempotency-Key": f"comment {key}"}
        answer = self._change(host, ticket_id, {"comment": self.comment_of(key)}, headers=headers)
        if answer is not None and answer.is_success and answer.json()["result"] in {"sent", "waiting"}:
            self.accepted.add(key)

    def _change(self, host: Host, ticket_id: str, change: object, **content: Any) -> httpx.Response | None:
        answer = self._send(host, f"/api/tickets/{ticket_id}/updates", change, expected={200, 202, 409}, **content)
        if answer is not None and answer.status_code == 409 and answer.json()["code"] not in _NOT_CHANGED:
            self.surprises.append(f"a change of {ticket_id} was answered {answer.text}")
        return answer

    def _close_on_paper(self, which: int) -> None:
        with self._working:
            for ticket_id in list(self.recommended.values())[which]:
                for record in self.app.records(ticket_id):
                    if record["active"] == "true":
                        self.app.control.change_record("incident", record["sys_id"], _INCIDENT_STEPS[2], as_user=AGENT)

    def _send(
        self, host: Host, path: str, body: object, *, expected: set[int], **content: Any
    ) -> httpx.Response | None:
        """Send a program's request; return the answer, or None without one."""
        program = self.app.program(daemon().token, self.hosts[host])
        try:
            answer = program.ask("POST", path, body, **content)
        except httpx.TransportError:
            return None
        finally:
            program.close()
        if answer.status_code not in {*expected, 500, 503} or "internal_error" in answer.text:
            self.surprises.append(f"{path} was answered {answer.status_code} {answer.text}")
        return answer

    def records(self) -> list[dict[str, str]]:
        """Return every record that the connection has created in ServiceNow."""
        made = self.app.control.records("task", f"sys_created_by={self.connected.user_name}", limit=1000)
        return sorted(made, key=lambda record: record["number"])

    def _work(self, which: float, step: int) -> None:
        with self._working:
            # Those for recommendations are never reopened, so each recommendation has at most one that is open.
            own = f"Schedule {self.schedule.seed}, key "
            if not (records := [each for each in self.records() if each["short_description"].startswith(own)]):
                return
            record = records[int(which * len(records))]
            table = record["sys_class_name"]
            changes = _INCIDENT_STEPS[step] if table == "incident" else _CHANGE_STEPS.get(record["state"])
            if changes is not None and record["active"] == "true":
                self.app.control.change_record(table, record["sys_id"], changes, as_user=AGENT)

    def _kill(self, host: Host) -> None:
        with self._changing[host]:
            self.app.world.processes.kill(self.hosts[host].process)
            started = self.app.another_host()
            with self._clocks:
                started.clock.pass_time(self.ahead_s[host])
                self.hosts[host] = started

    def _pause(self, host: Host, seconds: float) -> None:
        with self._changing[host]:
            group = self.hosts[host].process.popen.pid
            os.killpg(group, signal.SIGSTOP)
            time.sleep(seconds)
            os.killpg(group, signal.SIGCONT)

    def _wrong_day(self, host: Host) -> None:
        with self._changing[host]:
            self._set_ahead(host, DAY_S)
            self._run_timer(host)
            self._set_ahead(host, -DAY_S)

    def _set_ahead(self, host: Host, seconds: float) -> None:
        with self._clocks:
            self.hosts[host].clock.set_ahead(seconds)

    def _revoke(self, everything: bool) -> None:
        with self._consenting:
            kind = "" if everything else "access_token"
            self.app.control.revoke_tokens(user_name=self.connected.user_name, token_type=kind)
            # With client credentials, the next request for a token gets a new one.
            if everything and self.schedule.grant == "authorization_code":
                self.consent = Consent(lives=False, may_live=False)

    def _run_timer(self, host: Host) -> None:
        try:
            self.app.timer_outcome(self.hosts[host], within_s=TURN_TAKES_S)
        except (httpx.HTTPError, SandboxError):
            return  # the host was killed, or is slow

    def pass_time(self, seconds: float) -> None:
        """Let time pass on all clocks while no request is running: none takes hours."""
        self._wait_until_idle()
        self.app.control.advance_clock(seconds)
        with self.app.world.graph.control() as graph:
            graph.advance(hours=seconds / HOUR_S)
        with self._clocks:
            for host in HOSTS:
                self.ahead_s[host] += seconds
                self.hosts[host].clock.pass_time(seconds)

    def _wait_until_idle(self) -> None:
        deadline = time.monotonic() + _IDLE_WITHIN_S
        slow = [self.gates["vault"], self.gates["servicenow"]]
        while any(gate.under_way for gate in slow) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _wait_until_up(self, host: FunctionsHost) -> None:
        def is_up() -> bool | None:
            try:
                return httpx.get(f"{host.url}/api/health", timeout=5, trust_env=False).status_code == 200 or None
            except httpx.TransportError:
                return None

        self.app.world.processes.wait_until(host.process, is_up)

    # Consent

    def authorize(self, host: Host) -> bool:
        """Authorize the connection again; return whether that succeeded."""
        with self._consenting:
            self.consent.may_live = True
            try:
                succeeded = self._authorized(self.hosts[host])
            except (httpx.TransportError, UnexpectedAnswerError):
                succeeded = False
            if succeeded:
                self.consent.lives = True
            return succeeded

    def _authorized(self, host: FunctionsHost) -> bool:
        with self.app.visitor("Megan Bowen", host) as megan:
            if self.schedule.grant == "client_credentials":
                return megan.ask("POST", f"{self.connected.path}/connect").status_code == httpx.codes.OK
            start = megan.visit(f"/api/oauth/authorize?connection_id={self.connected.connection_id}")
            if start.status_code != httpx.codes.FOUND:
                return False
            callback = sign_in_and_consent(start.headers["Location"], self.connected.user_name, PASSWORD)
            for code in parse_qs(urlsplit(callback).query).get("code", []):
                self.app.canary.plant("code", code)
            # Both hosts answer at one public address; this is the one that the browser reaches.
            answer = megan.come_back(callback.replace(self.app.host.public_url, host.url))
            return answer.status_code == httpx.codes.SEE_OTHER

    def status(self) -> str:
        """Return the connection's status."""
        with self.app.visitor("Megan Bowen", self.hosts[0]) as megan:
            return str(megan.get(self.connected.path)["status"])

    # Afterwards

    def run_timers(self) -> None:
        """Run the timer on both hosts and wait for both runs."""
        with ThreadPoolExecutor(len(self.hosts)) as threads:
            list(threads.map(self.app.run_timer, self.hosts))

    def ask(self, path: str) -> dict[str, Any]:
        """Return the API's answer to a program."""
        program = self.app.program(daemon().token, self.hosts[1])
        answer = program.ask("GET", path).raise_for_status()
        program.close()
        content: dict[str, Any] = answer.json()
        return content


@contextmanager
def two_hosts(world: World, start_app: Callable[..., WholeApp], schedule: Schedule) -> Iterator[TwoHosts]:
    """Start two hosts with their own storage and vault, connected to ServiceNow; end them after the block."""
    authority = str(world.certificates.authority)
    storage = f"https://127.0.0.1:{world.azurite.ports['Table']}"
    gates = {service: Gate() for service in schedule.plans}
    with ExitStack() as stack:
        tables_at, vault_at = (
            stack.enter_context(serving(gates[service].in_front_of(upstream, authority=authority), world.certificates))
            for service, upstream in (("storage", storage), ("vault", world.key_vaults.new_vault()))
        )
        to_servicenow = gates["servicenow"].in_front_of(world.servicenow.url, concerns=_is_for_programs)
        instance = stack.enter_context(serving(to_servicenow))
        to_graph = gates["graph"].in_front_of(world.graph.url, authority=authority)
        graph_at = stack.enter_context(serving(to_graph, world.certificates))
        graph = stack.enter_context(world.graph.control())
        stack.callback(graph.reset)
        graph.add_tenant(E5, "Contoso", licences=SMALL.licences, maxima=SMALL.maxima, days=5, maturity=0)
        app = start_app(tables_at=tables_at, vault_at=vault_at, settings={"GRAPH_URL": graph_at, "VERIFY_AFTER_H": "1"})
        stack.callback(app.stop)
        app.control.set_properties({"simulator.oauth.refresh_token_on_refresh": schedule.refresh_token})
        ahead_s = [0.0, schedule.skew_s]
        hosts = [app.host, app.another_host(clock_ahead_s=schedule.skew_s)]
        kinds = {"incident": {"not_fixed": schedule.policy}}
        by_credentials = schedule.grant == "client_credentials"
        connect = app.connected_with_credentials if by_credentials else app.connected
        there = TwoHosts(app, connect(instance=instance, kinds=kinds), hosts, gates, schedule, ahead_s)
        there.add_tenant()
        yield there


def _is_for_programs(path: str) -> bool:
    """Whether the connector, not a person's browser, requests this path of ServiceNow."""
    return path.startswith("/api/") or path in {"/oauth_token.do", "/oauth_revoke_token.do", "/oauth_revoke.do"}
