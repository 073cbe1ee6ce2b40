"""An administrator's settings for a connection, and their effects."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.access.current import seen_by
from shared.access.model import Access, AllowedCaller, CustomerLimit
from shared.connections.configure import MAX_CONNECTIONS
from shared.connections.directory import SyncState
from shared.connections.model import (
    Connection,
    ConnectionStatus,
    Grant,
    KindSettings,
    OutcomeNotes,
    OutcomePolicy,
    Portal,
    TicketKind,
    is_same_user,
)
from shared.connections.ports import RowChanged
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest, StorageUnavailable, TryLater
from tests.english import ENGLISH
from tests.memory.sign_in import UNAVAILABLE
from tests.unit.connections.surroundings import (
    ADMINISTRATOR,
    CLIENT_SECRET,
    INSTANCE,
    INTEGRATION_USER,
    Surroundings,
    request,
)

CLIENT_SECRET_NAME = "servicenow-contoso-client-secret"


async def test_a_new_connection_waits_for_its_authorization(app: Surroundings) -> None:
    outcome = await app.configuration.put("contoso", request())
    assert outcome.created
    assert outcome.connection == app.stored()
    assert outcome.connection.status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert outcome.connection.instance == INSTANCE
    assert not outcome.connection.ever_consented
    assert app.secrets.current == {CLIENT_SECRET}


async def test_without_a_client_secret_it_is_not_configured_until_one_comes(app: Surroundings) -> None:
    assert (await app.configured(client_secret=...)).status is ConnectionStatus.NOT_CONFIGURED
    assert (await app.configured(client_secret=...)).status is ConnectionStatus.NOT_CONFIGURED
    assert (await app.configured()).status is ConnectionStatus.AWAITING_AUTHORIZATION


async def test_the_same_request_again_changes_nothing(app: Surroundings) -> None:
    connected = await app.connected()
    outcome = await app.configuration.put("contoso", request())
    assert not outcome.created
    assert outcome.connection.etag == connected.etag
    assert len(app.secrets.versions[CLIENT_SECRET_NAME]) == 1


async def test_who_has_the_second_factor_is_kept_until_somebody_else_is_named(app: Surroundings) -> None:
    await app.connected()
    named = await app.configured(client_secret=..., second_factor_holder="  Ada Lovelace ")
    assert (named.second_factor_holder, named.status) == ("Ada Lovelace", ConnectionStatus.CONNECTED)
    assert (await app.configured(client_secret=...)).second_factor_holder == "Ada Lovelace"
    assert (await app.configured(client_secret=..., second_factor_holder="")).second_factor_holder is None


async def test_another_grant_starts_over(app: Surroundings) -> None:
    await app.connected()
    assert (await app.configured(client_secret=..., grant="authorization_code")).status is ConnectionStatus.CONNECTED
    changed = await app.configured(client_secret=..., grant="client_credentials")
    assert (changed.grant, changed.status) == (Grant.CLIENT_CREDENTIALS, ConnectionStatus.REAUTHORIZATION_REQUIRED)
    assert app.secrets.current == {CLIENT_SECRET}
    assert (await app.configured(client_secret=...)).grant is Grant.CLIENT_CREDENTIALS


async def test_details_change_without_a_new_authorization(app: Surroundings) -> None:
    before = await app.connected()
    kinds = {
        "incident": {"enabled": False},
        "change": {"assignment_group": "0" * 32, "category": "Security", "state_names": {"-5": "Planned"}},
    }
    changed = await app.configured(
        client_secret=...,
        display_name="Contoso Ltd",
        portals=["compliance"],
        kinds=kinds,
        time_zone="Asia/Tokyo",
        consent_lifetime_s=7200,
    )
    assert changed.status is ConnectionStatus.CONNECTED
    assert changed.access_token_version == before.access_token_version
    assert changed.kinds == {
        TicketKind.INCIDENT: KindSettings(enabled=False),
        TicketKind.CHANGE: KindSettings(True, "0" * 32, "Security", {"-5": "Planned"}),
    }
    assert changed.portals == (Portal.COMPLIANCE,)
    assert changed.consented_at is not None
    assert changed.consent_ends_at is not None
    assert (changed.consent_ends_at - changed.consented_at).total_seconds() == 7200
    await app.tokens.access_token(changed)


LATER_MEMBERS = {
    "default_caller": "0" * 32,
    "not_fixed": "reopen",
    "regressed": "new_ticket",
    "not_done_codes": [" Duplicate ", "Not Solved (Too Costly)"],
}


@pytest.mark.parametrize("left_out", [{}, {"kinds": {}}, {"kinds": {"incident": {"enabled": True}}}])
async def test_a_caller_who_does_not_know_the_policies_changes_none(
    app: Surroundings, left_out: dict[str, Any]
) -> None:
    before = await app.configured(kinds={"incident": LATER_MEMBERS}, outcome_notes="comment")
    assert before.kinds[TicketKind.INCIDENT] == KindSettings(
        default_caller="0" * 32,
        not_fixed=OutcomePolicy.REOPEN,
        regressed=OutcomePolicy.NEW_TICKET,
        not_done_codes=("Duplicate", "Not Solved (Too Costly)"),
    )
    assert before.outcome_notes is OutcomeNotes.COMMENT
    assert await app.configured(**left_out) == before


@given(st.sets(st.sampled_from(sorted(LATER_MEMBERS))))
def test_what_a_caller_names_is_changed_and_the_rest_stays(named: set[str]) -> None:
    present = KindSettings(not_fixed=OutcomePolicy.NEW_TICKET, not_done_codes=())
    wanted = request(kinds={"incident": LATER_MEMBERS}).kinds[TicketKind.INCIDENT].settings
    body = {name: value for name, value in LATER_MEMBERS.items() if name in named}
    after = request(kinds={"incident": body}).kinds[TicketKind.INCIDENT].settings_after(present)
    for name in LATER_MEMBERS:
        assert getattr(after, name) == getattr(wanted if name in named else present, name)


async def test_null_brings_the_usual_codes_back(app: Surroundings) -> None:
    await app.configured(kinds={"incident": {"not_done_codes": []}})
    assert app.stored().kinds[TicketKind.INCIDENT].not_done_codes == ()
    await app.configured(kinds={"incident": {"not_done_codes": None}})
    assert app.stored().kinds[TicketKind.INCIDENT].not_done_codes is None


async def test_there_are_never_more_connections_than_the_limit(app: Surroundings) -> None:
    present = await app.configured()
    numbered = {
        f"number-{number}": replace(present, connection_id=f"number-{number}") for number in range(1, MAX_CONNECTIONS)
    }
    app.store.connections |= numbered
    with pytest.raises(FixRequest) as caught:
        await app.configured("one-more")
    assert (caught.value.code, caught.value.status) == ("too_many_connections", 409)
    assert len(app.store.connections) == MAX_CONNECTIONS
    assert "one-more" not in app.store.connections
    assert (await app.configured(display_name="Still to be changed")).display_name == "Still to be changed"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "another secret"},
        {"instance": "fabrikam"},
        {"client_id": "another-client"},
        {"integration_user": "somebody.else", "client_secret": ...},
    ],
    ids=["secret", "instance", "client", "user"],
)
async def test_another_grant_needs_another_authorization(app: Surroundings, changes: dict[str, Any]) -> None:
    before = await app.connected()
    tokens = {"refresh token 3", "access token 2"}
    assert app.secrets.current == {CLIENT_SECRET, *tokens}
    changed = await app.configured(**changes)
    assert changed.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
    assert changed.last_error is not None
    assert changed.last_error.code == "configuration_changed"
    assert changed.ever_consented
    assert changed.access_token_version is None
    assert changed.access_token_expires_at is None
    assert changed.consent_ends_at is None
    assert set(app.servicenow.revocations) == tokens
    assert not app.secrets.readable & tokens
    with pytest.raises(Exception, match="configuration_changed") as caught:
        await app.tokens.access_token(replace(before, instance=changed.instance))
    assert getattr(caught.value, "code", None) == "configuration_changed"


async def test_before_any_consent_another_grant_still_waits_for_the_first(app: Surroundings) -> None:
    await app.configured()
    changed = await app.configured(client_secret="another secret")
    assert changed.status is ConnectionStatus.AWAITING_AUTHORIZATION
    assert app.secrets.versions[CLIENT_SECRET_NAME][-1].value.reveal() == "another secret"


@pytest.mark.parametrize("changes", [{"instance": "fabrikam"}, {"client_id": "another-client"}])
async def test_the_stored_secret_goes_nowhere_else(app: Surroundings, changes: dict[str, str]) -> None:
    before = await app.connected()
    with pytest.raises(FixRequest) as caught:
        await app.configured(client_secret=..., **changes)
    assert caught.value.code == "client_secret_required"
    assert app.stored() == before


async def test_another_instance_is_synchronised_from_its_beginning(app: Surroundings) -> None:
    await app.connected()
    known = SyncState(watermark="2026-03-02 09:00:00", instance=INSTANCE)
    await app.store.save_sync_state("contoso", known)
    await app.directory.save_entry(replace(app.directory.entries["contoso"], sync=known))
    configured = await app.configured(client_secret="another secret")
    assert (await app.turns.sync_state(configured)).watermark == known.watermark
    assert (await app.store.get_sync_state("contoso")).watermark == known.watermark
    configured = await app.configured(instance="fabrikam", client_secret="yet another")
    assert (await app.turns.sync_state(configured)).watermark is None
    assert (await app.store.get_sync_state("contoso")).watermark is None, "for release 0.1"


async def test_an_instance_that_is_gone_does_not_hold_up_the_change(app: Surroundings) -> None:
    await app.connected()
    app.servicenow.faults.extend([UNAVAILABLE, UNAVAILABLE])
    changed = await app.configured(instance="fabrikam", client_secret="another secret")
    assert changed.instance == "https://fabrikam.service-now.com"
    assert app.secrets.current == {"another secret"}


async def test_a_change_that_breaks_off_is_finished_by_sending_it_again(app: Surroundings) -> None:
    await app.connected()
    wanted = {"instance": "fabrikam", "client_secret": "another secret"}
    broken = 0
    for calls_before in range(1, 30):
        healthy = Surroundings()
        await healthy.connected()
        step = _FailingStep(healthy, calls_before)
        healthy.secrets.step = step
        try:
            await healthy.configured(**wanted)
        except StorageUnavailable:
            broken += 1
            stale = healthy.stored()
            assert stale.instance == INSTANCE or stale.status is ConnectionStatus.NOT_CONFIGURED
        healthy.secrets.step = healthy.step
        healthy.clock.advance(600)
        changed = await healthy.configured(**wanted)
        assert changed.status is ConnectionStatus.REAUTHORIZATION_REQUIRED
        assert healthy.secrets.current == {"another secret"}
        if not step.failed:
            break
    assert broken >= 5


@pytest.mark.parametrize("to", list(Grant))
async def test_a_switch_of_the_grant_that_breaks_off_anywhere_loses_nothing(to: Grant) -> None:
    broken = 0
    for calls_before in range(1, 60):
        app = Surroundings()
        app.servicenow.application_users["client"] = INTEGRATION_USER
        if to is Grant.CLIENT_CREDENTIALS:
            await app.connected()
        else:
            await app.connected_by_credentials()
        step = _FailingStep(app, calls_before)
        app.secrets.step = app.store._step = app.servicenow.step = step
        with contextlib.suppress(StorageUnavailable):
            await app.configured(grant=to, client_secret=...)
        app.secrets.step = app.store._step = app.servicenow.step = app.step
        app.clock.advance(600)
        broken += step.failed
        switched = await app.configured(grant=to, client_secret=...)
        assert (switched.grant, switched.status) == (to, ConnectionStatus.REAUTHORIZATION_REQUIRED)
        assert app.secrets.current == {CLIENT_SECRET}, "and nothing of the grant before"
        assert not app.servicenow.living or step.failed, "a revocation that fails is not repeated"
        again = await (app.authorized() if to is Grant.AUTHORIZATION_CODE else connect(app))
        assert again.status is ConnectionStatus.CONNECTED
        if not step.failed:
            break
    assert broken >= 8


async def connect(app: Surroundings) -> Connection:
    return await app.client_credentials.connect("contoso", started_by=ADMINISTRATOR)


async def test_somebody_who_starts_over_meanwhile_gets_their_secret_sent_nowhere_else(app: Surroundings) -> None:
    """The second administrator saw the connection as it was before the first pointed it elsewhere."""
    before = await app.connected()
    await app.configured(instance="fabrikam", client_secret="fabrikam's")
    store = app.store

    class LateReader(type(store)):  # type: ignore[misc]
        reads = 0

        async def get_connection(self, connection_id: str) -> object:
            self.reads += 1
            return before if self.reads == 1 else await super().get_connection(connection_id)

    for changes in ({"integration_user": "other"}, {"display_name": "Other"}):
        late = LateReader()
        late.connections, late.sync_states = store.connections, store.sync_states
        with pytest.raises(TryLater) as caught:
            await replace(app.configuration, connections=late).put("contoso", request(client_secret=..., **changes))
        assert caught.value.code in {"connection_changed", "connection_busy"}
        assert app.stored().instance == "https://fabrikam.service-now.com"
        assert app.secrets.current == {"fabrikam's"}


async def test_two_switches_at_once_end_in_one_grant(app: Surroundings) -> None:
    app.servicenow.application_users["client"] = INTEGRATION_USER
    await app.connected()
    outcomes = await asyncio.gather(
        app.configured(grant="client_credentials", client_secret=...),
        app.configured(grant="client_credentials", client_secret=..., display_name="Other"),
        return_exceptions=True,
    )
    assert all(isinstance(each, Connection | TryLater) for each in outcomes)
    assert app.stored().grant is Grant.CLIENT_CREDENTIALS
    assert app.secrets.current == {CLIENT_SECRET}
    assert (await connect(app)).status is ConnectionStatus.CONNECTED


class _FailingStep:
    """Lets only some calls of Key Vault pass."""

    def __init__(self, app: Surroundings, calls_before: int) -> None:
        self._step, self._left = app.step, calls_before
        self.failed = False

    async def __call__(self, name: str) -> None:
        self._left -= 1
        if self._left < 0:
            self.failed = True
            raise StorageUnavailable()
        await self._step(name)


async def test_two_administrators_at_once_create_one_connection(app: Surroundings) -> None:
    class LateReader(type(app.store)):  # type: ignore[misc]
        reads = 0

        async def get_connection(self, connection_id: str) -> object:
            self.reads += 1
            return None if self.reads == 1 else await super().get_connection(connection_id)

    await app.configured(display_name="first")
    late = LateReader()
    late.connections, late.sync_states = app.store.connections, app.store.sync_states
    configuration = replace(app.configuration, connections=late)
    outcome = await configuration.put("contoso", request(display_name="second"))
    assert not outcome.created
    assert app.stored().display_name == "second"


async def test_somebody_who_is_always_faster_is_not_fought_for_ever(app: Surroundings) -> None:
    await app.configured()

    class Contested(type(app.store)):  # type: ignore[misc]
        async def update_connection(self, connection: object) -> object:
            raise RowChanged("contoso")

    contested = Contested()
    contested.connections = app.store.connections
    with pytest.raises(TryLater) as caught:
        await replace(app.configuration, connections=contested).put("contoso", request(display_name="other"))
    assert caught.value.code == "connection_busy"


@pytest.mark.parametrize("connection_id", ["", "Contoso", "a" * 41, "contoso/x", "con toso", "contoso\n", "日本"])
async def test_a_malformed_id_is_refused(app: Surroundings, connection_id: str) -> None:
    with pytest.raises(FixRequest) as caught:
        await app.configuration.put(connection_id, request())
    assert caught.value.code == "invalid_connection_id"
    assert not app.store.connections


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"client_secret": ""}, "/client_secret"),
        ({"client_secret": 7}, "/client_secret"),
        ({"client_secret": "sp\u00e9cial"}, "/client_secret"),
        ({"client_secret": "x" * 4097}, "/client_secret"),
        ({"client_id": "two words"}, "/client_id"),
        ({"display_name": "  "}, "/display_name"),
        ({"display_name": "two\nlines"}, "/display_name"),
        ({"integration_user": "x" * 41}, "/integration_user"),
        ({"portals": []}, "/portals"),
        ({"portals": ["front door"]}, "/portals/0"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"consent_lifetime_s": "8640000"}, "/consent_lifetime_s"),
        ({"consent_lifetime_s": 2**31}, "/consent_lifetime_s"),
        ({"kinds": {"incident": {"enabled": False}, "change": {"enabled": False}}}, "/kinds"),
        ({"kinds": {"problem": {}}}, "/kinds/problem"),
        ({"kinds": {"incident": {"enabled": "yes"}}}, "/kinds/incident/enabled"),
        ({"kinds": {"incident": {"assignment_group": "Network"}}}, "/kinds/incident/assignment_group"),
        ({"kinds": {"incident": {"state_names": {"1": ""}}}}, "/kinds/incident/state_names/1"),
        ({"kinds": {"incident": {"not_fixed": "shrug"}}}, "/kinds/incident/not_fixed"),
        ({"kinds": {"change": {"regressed": 7}}}, "/kinds/change/regressed"),
        ({"kinds": {"change": {"not_done_codes": "unsuccessful"}}}, "/kinds/change/not_done_codes"),
        ({"kinds": {"change": {"not_done_codes": ["a"] * 21}}}, "/kinds/change/not_done_codes"),
        ({"kinds": {"change": {"not_done_codes": ["a", "x" * 61]}}}, "/kinds/change/not_done_codes/1"),
        ({"outcome_notes": "by letter"}, "/outcome_notes"),
        ({"status": "connected"}, "/status"),
    ],
)
def test_a_fault_is_named_by_its_place_and_its_value_is_not_repeated(changes: dict[str, Any], pointer: str) -> None:
    body = {
        "display_name": "Contoso",
        "instance": "contoso",
        "client_id": "client",
        "client_secret": CLIENT_SECRET,
        "integration_user": "m365.integration",
    }
    with pytest.raises(FixRequest) as caught:
        read_connection_request(body | changes)
    assert (caught.value.code, caught.value.status) == ("invalid_connection", 422)
    [fault] = caught.value.values["errors"][:1]
    assert fault["pointer"] == pointer
    assert ENGLISH.filled(f"fault.code.{fault['code']}", fault["values"]), "words of its own, with every value"
    assert CLIENT_SECRET not in repr(caught.value)


@pytest.mark.parametrize("body", [None, [], "text", 7, {}])
def test_a_body_that_is_no_connection_is_refused(body: object) -> None:
    with pytest.raises(FixRequest) as caught:
        read_connection_request(body)
    assert caught.value.code == "invalid_connection"


def test_a_secret_in_a_request_does_not_show() -> None:
    shown = f"{request()!r} {request()} {request().model_dump_json()}"
    assert CLIENT_SECRET not in shown


@given(st.text(max_size=10), st.text(max_size=10))
@example("M365.Integration", "m365.integration")
@example("strasse", "stra\u00dfe")
@example("kelvin", "\u212aelvin")
@example("sean", "\u017fean")
@example("admin", "adm\u0131n")
@example("office", "o\ufb03ce")
@example("ada", "ada ")
def test_users_are_the_same_only_letter_by_letter(one: str, other: str) -> None:
    def alike(left: str, right: str) -> bool:
        return left == right or ((left + right).isascii() and left.lower() == right.lower())

    expected = len(one) == len(other) and all(map(alike, one, other))
    assert is_same_user(one, other) is expected
    assert is_same_user(one, one.swapcase() if one.isascii() else one)


MINE, OTHER = "0b1e6d3c-6a53-4f7e-9a7e-00000000b001", "0b1e6d3c-6a53-4f7e-9a7e-00000000b002"
ADMINISTRATORS_ACCESS = Access(frozenset({MINE}))


def allowed(*object_ids: str) -> list[dict[str, str]]:
    return [{"object_id": each, "note": ""} for each in object_ids]


async def steps_of(changes: dict[str, Any], limit: CustomerLimit | None, *, is_new: bool = False) -> list[str]:
    """Return what is written, in order, when a connection with a limit is changed."""
    steps: list[str] = []

    async def step(name: str) -> None:
        await asyncio.sleep(0)
        steps.append(name)

    app = Surroundings(step)
    if not is_new:
        await app.connected()
    if limit is not None:
        app.limits.limits["contoso"] = limit
    steps.clear()
    with seen_by(ADMINISTRATORS_ACCESS):
        await app.configured(**changes)
    return [each for each in steps if each in {"save limit", "create_connection", "update_connection"}]


async def test_a_connection_is_limited_before_it_is_there() -> None:
    assert (await steps_of({"limited_to": allowed(MINE)}, None, is_new=True))[:2] == ["save limit", "create_connection"]


@pytest.mark.parametrize(
    ("before", "after", "written"),
    [
        (None, [MINE], ["save limit", "update_connection"]),
        ([MINE, OTHER], [MINE], ["save limit", "update_connection"]),
        ([MINE], [MINE, OTHER], ["update_connection", "save limit"]),
        ([MINE], [], ["update_connection", "save limit"]),
        ([MINE], [MINE.upper()], ["update_connection"]),
        ([MINE], None, ["update_connection"]),
        (None, [], ["update_connection"]),
    ],
)
async def test_nobody_sees_a_change_who_may_see_the_connection_no_more_or_not_yet(
    before: list[str] | None, after: list[str] | None, written: list[str]
) -> None:
    changes: dict[str, Any] = {"display_name": "Contoso Ltd"}
    if after is not None:
        changes["limited_to"] = allowed(*after)
    limit = None if before is None else tuple(map(AllowedCaller, before))
    assert await steps_of(changes, limit) == written


async def test_nobody_locks_themselves_out(app: Surroundings) -> None:
    await app.connected()
    stored = app.stored()
    with seen_by(ADMINISTRATORS_ACCESS), pytest.raises(FixRequest) as refused:
        await app.configured(display_name="Contoso Ltd", limited_to=allowed(OTHER))
    assert (refused.value.status, refused.value.code) == (422, "would_lock_you_out")
    assert (app.stored(), app.limits.limits) == (stored, {})


async def test_a_hidden_connection_is_not_limited_by_whoever_wants_its_id(app: Surroundings) -> None:
    app.limits.limits["contoso"] = (AllowedCaller(OTHER),)
    with seen_by(ADMINISTRATORS_ACCESS), pytest.raises(FixRequest) as refused:
        await app.configured(limited_to=allowed(MINE))
    assert refused.value.code == "connection_id_taken"
    assert app.limits.limits == {"contoso": (AllowedCaller(OTHER),)}
