"""The life of a connection's tokens while everything happens at once.

Several instances of the app and several administrators work on one connection. The test lets them go on step by step in
any order, kills some, and makes ServiceNow fail. Whatever happens:

* two instances never refresh at the same time,
* callers get a token for the connection's own instance, or an error that says what to do,
* a consent is lost only if something outside ended it,
* nothing of a grant stays when the connection is switched to the other,
* in the end the connection works, or correctly says that it does not; after a removal nothing of it is left.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.connections.grant.secret_names import refresh_token_name
from shared.connections.held_lease import LEASE_S
from shared.connections.model import Connection, ConnectionStatus, Grant
from shared.errors import ConnectorError, Reauthorize
from shared.secret import Secret
from tests.memory.sign_in import UNAVAILABLE, refused
from tests.memory.steps import Stage
from tests.unit.connections.surroundings import ADMINISTRATOR, CLIENT_SECRET, INTEGRATION_USER, Surroundings

pytestmark = pytest.mark.timeout(420)
"""Hypothesis takes up to 300 s to shorten a failing example; without the example, a failure says nothing."""

INSTANCES = 3
WORKING = {ConnectionStatus.CONNECTED, ConnectionStatus.UNAVAILABLE}
instances = st.integers(0, INSTANCES - 1)


class Lifecycle(RuleBasedStateMachine):
    """See the module's description."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.app = Surroundings(step=self.stage.step)
        self.instances = [self.app.new_app_instance() for _ in range(INSTANCES)]
        self.quiet_since: datetime = self.app.clock.now
        self.seen: list[Connection] = []
        self.outside_takes_consents = self.instances_die = False
        self.consent_taken = False
        """Something outside ended the consent, or made it look so."""
        self.tokens_astray = False
        """Only ServiceNow may know a token."""
        self.refused_lately = False
        """A refusal may belong to a refresh that still goes on."""
        self.left_undone = False
        """An actor died or lost the lease while it was cleaning up."""

    @initialize(
        grant=st.sampled_from(Grant),
        extends=st.booleans(),
        outside_takes_consents=st.booleans(),
        instances_die=st.booleans(),
    )
    def connect(self, grant: Grant, extends: bool, outside_takes_consents: bool, instances_die: bool) -> None:
        self.outside_takes_consents, self.instances_die = outside_takes_consents, instances_die
        self.app.servicenow.application_users["client"] = INTEGRATION_USER
        self.app.servicenow.extends = extends
        self.stage.run(self.app.configured(grant=grant))
        self.seen.append(self.stage.run(self._authorized()))

    async def _authorized(self) -> Connection:
        if self.app.stored().grant is Grant.AUTHORIZATION_CODE:
            return await self.app.authorized()
        return await self.app.client_credentials.connect("contoso", started_by=ADMINISTRATOR)

    def teardown(self) -> None:
        try:
            if self.seen:
                self._end()
        finally:
            self.stage.close()

    def _end(self) -> None:
        self._everything_settles()
        self.app.servicenow.faults.clear()
        self.app.secrets.refused_writes = frozenset()
        self.app.servicenow.add(INTEGRATION_USER, locked_out=False)
        self.app.clock.advance(LEASE_S)
        self._everybody_offers_what_is_in_memory()
        stored = self.app.stored()
        if stored.status in WORKING:
            self._works(stored)
        elif stored.status is ConnectionStatus.REAUTHORIZATION_REQUIRED:
            assert self.consent_taken
            assert stored.last_error is not None
        self.stage.run(self.app.removal.remove("contoso"))
        assert self.app.secrets.readable == set()
        assert not self.app.leases.leases
        if not self.tokens_astray:
            assert not self.app.servicenow.living

    def _everybody_offers_what_is_in_memory(self) -> None:
        for instance in self.instances:
            with suppress(ConnectorError):
                self.stage.run(instance.access_token(self.app.stored()))

    def _works(self, stored: Connection) -> None:
        try:
            access = self.stage.run(self.instances[0].access_token(stored))
            if not self.app.servicenow.accepts(access):
                access = self.stage.run(self.instances[0].renewed_token(stored, access))
        except Reauthorize:
            assert self.consent_taken
            return
        assert self.app.servicenow.accepts(access)

    # Concurrent actions

    def _start(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        async def checked() -> None:
            try:
                outcome = await work
            except ConnectorError:
                return
            if isinstance(outcome, Secret):
                assert outcome.reveal().startswith("access token")

        self.stage.start(name, checked())

    @property
    def _room(self) -> bool:
        return len(self.stage.living) < 4

    def _connection(self, stale: bool) -> Connection:
        if not stale:
            self.seen.append(self.app.stored())
        return self.seen[-1]

    @precondition(lambda self: self._room)
    @rule(number=instances, stale=st.booleans())
    def use(self, number: int, stale: bool) -> None:
        self._start("access", self.instances[number].access_token(self._connection(stale)))

    @precondition(lambda self: self._room)
    @rule(number=instances, stale=st.booleans())
    def refresh(self, number: int, stale: bool) -> None:
        self._start("refresh", self.instances[number].refresh(self._connection(stale)))

    @precondition(lambda self: self._room)
    @rule(number=instances)
    def be_refused(self, number: int) -> None:
        connection = self._connection(stale=False)
        version = connection.access_token_version
        known = [
            each for each in self.app.secrets.versions["servicenow-contoso-access-token"] if each.version == version
        ]
        refused_token = known[0].value if known else Secret("none")
        self._start("renew", self.instances[number].renewed_token(connection, refused_token))

    @precondition(lambda self: not self.stage.living)
    @rule(names=st.sampled_from([("-refresh-token",), ("-access-token",), ("-refresh-token", "-access-token"), ()]))
    def let_key_vault_refuse(self, names: tuple[str, ...]) -> None:
        self.app.secrets.refused_writes = frozenset(names)
        # A removal cannot revoke a token that is only in another instance's memory.
        self.tokens_astray = True

    @precondition(lambda self: self._room and not self.app.secrets.refused_writes)
    @rule()
    def authorize(self) -> None:
        self._start("authorize", self._authorized())

    @precondition(lambda self: self._room)
    @rule()
    def configure(self) -> None:
        """Change a name, or connect a removed connection again."""
        client_secret = self.app.servicenow.clients["client"]
        self._start("configure", self.app.configured(client_secret=client_secret, display_name="Contoso Ltd"))

    @precondition(lambda self: self._room and self.outside_takes_consents)
    @rule(grant=st.sampled_from(Grant))
    def switch_the_grant(self, grant: Grant) -> None:
        client_secret = self.app.servicenow.clients["client"]
        self.consent_taken = self.consent_taken or grant is not self.app.stored().grant
        self._start("configure", self.app.configured(client_secret=client_secret, grant=grant))

    @precondition(lambda self: self._room and self.outside_takes_consents)
    @rule()
    def change_the_client_secret(self) -> None:
        self.app.servicenow.clients["client"] += "!"
        self.consent_taken = True
        self._start("configure", self.app.configured(client_secret=self.app.servicenow.clients["client"]))

    @precondition(lambda self: self._room)
    @rule()
    def remove(self) -> None:
        self._start("remove", self.app.removal.remove("contoso"))

    @precondition(lambda self: self.stage.waiting)
    @rule(choices=st.lists(st.integers(0, 10), min_size=1, max_size=12))
    def go_on(self, choices: list[int]) -> None:
        for choice in choices:
            waiting = self.stage.waiting
            if waiting:
                self.stage.go_on(waiting[choice % len(waiting)].actor, 1)
                self.stage.raise_unless(())
                self._one_refresh_at_a_time()

    @precondition(lambda self: self.instances_die and self.stage.living)
    @rule(choice=st.integers(0, 10))
    def kill(self, choice: int) -> None:
        actor = self.stage.living[choice % len(self.stage.living)]
        self.stage.kill(actor)
        self.tokens_astray = self.left_undone = True
        if self.app.servicenow.rotates or actor.name in {"configure", "remove"}:
            self.consent_taken = True

    @rule()
    def everything_settles(self) -> None:
        self._everything_settles()

    def _everything_settles(self) -> None:
        while self.stage.waiting:
            self.stage.go_on(self.stage.waiting[0].actor, 1)
            self.stage.raise_unless(())
        self.quiet_since = self.app.clock.now
        # A refusal that nobody has met yet still belongs to the next refresh.
        self.refused_lately = any(isinstance(fault, Reauthorize) for fault in self.app.servicenow.faults)
        stored = self.app.stored()
        readable = self.app.secrets.readable
        if not stored.is_granted and not self.left_undone:
            tokens = {text for text in readable if " token " in text}
            assert not tokens, f"a connection that is {stored.status} has kept tokens"
        if stored.grant is Grant.CLIENT_CREDENTIALS and not self.left_undone:
            assert not {text for text in readable if text.startswith("refresh token")}

    @rule(seconds=st.sampled_from([1, 100, 1200, 1740, 1800]))
    def time_passes(self, seconds: int) -> None:
        self._everything_settles()
        self.app.clock.advance(seconds)
        self.quiet_since = self.app.clock.now

    # Actions of ServiceNow

    @rule(refresh_token=st.sampled_from(["the same", "none", "a new one"]))
    def answer_a_refresh_with(self, refresh_token: str) -> None:
        self.app.servicenow.omits = refresh_token == "none"
        self.app.servicenow.rotates = refresh_token == "a new one"

    @rule()
    def not_answer(self) -> None:
        self.app.servicenow.faults.append(UNAVAILABLE)
        self.tokens_astray = True

    @precondition(lambda self: not self.app.servicenow.faults)
    @rule()
    def refuse_once(self) -> None:
        # A refresh asks twice before it believes a refusal, so two refusals count.
        self.consent_taken = self.consent_taken or self.refused_lately
        self.app.servicenow.faults.append(refused())
        self.tokens_astray = self.refused_lately = True

    @rule()
    def revoke_access_tokens(self) -> None:
        self.app.servicenow.access_tokens.clear()

    @precondition(lambda self: self.outside_takes_consents)
    @rule()
    def revoke_refresh_tokens(self) -> None:
        self.app.servicenow.refresh_tokens.clear()
        self.consent_taken = True

    @precondition(lambda self: self.outside_takes_consents)
    @rule(locked_out=st.booleans())
    def lock_out(self, locked_out: bool) -> None:
        self.app.servicenow.add(INTEGRATION_USER, locked_out=locked_out)
        self.consent_taken = self.consent_taken or locked_out

    # Invariants

    def _one_refresh_at_a_time(self) -> None:
        if (self.app.clock.now - self.quiet_since).total_seconds() >= LEASE_S:
            # An actor was held up for longer than its lease; then losses are allowed.
            self.consent_taken = self.tokens_astray = self.left_undone = True
            return
        asking = [each for each in self.stage.waiting if each.name in {"refresh", "refresh answers"}]
        assert len(asking) <= 1

    @invariant()
    def a_working_connection_has_tokens(self) -> None:
        stored = self.app.store.connections.get("contoso")
        if stored is not None and stored.status in WORKING:
            versions = self.app.secrets.versions["servicenow-contoso-access-token"]
            assert stored.access_token_version in {each.version for each in versions}
            assert stored.is_granted
            if stored.grant is Grant.AUTHORIZATION_CODE:
                assert self.app.secrets.versions[refresh_token_name("contoso")]
            assert (stored.consent_ends_at is None) is (stored.grant is Grant.CLIENT_CREDENTIALS)

    @invariant()
    def no_secret_stands_in_a_row(self) -> None:
        rows = repr(self.app.store.connections)
        assert CLIENT_SECRET not in rows
        assert "access token " not in rows.replace("an access token ", "")


TestLifecycle = Lifecycle.TestCase
TestLifecycle.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
