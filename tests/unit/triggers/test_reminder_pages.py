"""The page of reminders and its operations of the API: addresses and secrets go in and never come out."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest

from shared.connections.grant.lease import Lease
from shared.connections.grant.secret_names import signing_secret_name, teams_address_name, webhook_address_name
from shared.connections.turns import Turns
from shared.errors import FixRequest, TryLater
from shared.reminders.addresses import address_fault, is_signing_secret, new_signing_secret
from shared.reminders.configure import REMINDER_SECRETS, ReminderConfiguration, forget_reminders
from shared.reminders.links import Links
from shared.reminders.model import Cause, Receiver, Result, ResultCode
from shared.reminders.turn import ReminderTurn
from shared.triggers.links import read_list_link
from shared.triggers.reminder_pages import reminders_page, reminders_save, reminders_test
from shared.triggers.reminders_api import get_reminders, put_reminders, send_test_messages
from shared.triggers.routes import read_query
from shared.words.language import languages
from tests.memory.directory import MemoryDirectory
from tests.memory.lease_store import MemoryLeaseStore
from tests.memory.message_sender import MemorySender, no_points
from tests.memory.reminder_store import MemoryReminderStore
from tests.memory.secret_store import MemorySecretStore
from tests.unit.tickets.examples import CONNECTION_ID
from tests.unit.triggers.page_calls import MANAGER, Pages, pages, text_of

__all__ = ["pages"]


t = languages()["en"]
PAGE = f"/configuration/{CONNECTION_ID}/reminders"
TEAMS = "https://default1.environment.api.powerplatform.com:443/x/invoke?sp=%2Ftriggers%2Fmanual%2Frun&sig=planted"
HOOK = "https://hooks.contoso.com/m365?key=planted"


class Reminding:
    """The page over an app in memory."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        world, clock = pages.world, pages.world.clock
        self.store, self.secrets, self.sender = MemoryReminderStore(), MemorySecretStore(), MemorySender()
        self.directory = MemoryDirectory()
        app = pages.application
        app.settings = SimpleNamespace(allowed_webhook_hosts=("10.1.2.3",))
        app.open_reminders = lambda: self.store
        app.turns = Turns(self.directory, world.connections, clock)
        lease = self.lease = Lease(MemoryLeaseStore(clock), REMINDER_SECRETS)
        app.reminder_configuration = ReminderConfiguration(
            world.connections,
            self.store,
            self.secrets,
            app.turns,
            lease,
            clock,
            timedelta(days=90),
        )
        app.reminder_turn = ReminderTurn(
            store=self.store,
            secrets=self.secrets,
            sender=self.sender,
            tickets=world.store,
            points=no_points,
            lease=lease,
            clock=clock,
            secret_lifetime=timedelta(days=90),
        )

    async def shown(self, query: str = "", language: str = "en") -> str:
        answer = await self.pages.get(
            reminders_page, PAGE + query, caller=MANAGER, language=language, connection_id=CONNECTION_ID
        )
        return unescape(text_of(answer))

    async def save(self, **fields: str) -> Any:
        form = {"digest": "on", "digest_weekday": "1", "digest_at": "08:00", "urgent_overdue": "on"} | fields
        return await self.pages.post(
            reminders_save, PAGE, list(form.items()), caller=MANAGER, connection_id=CONNECTION_ID
        )

    async def put(self, body: object) -> Any:
        answer = await self.pages.ask(put_reminders, "PUT", body, caller=MANAGER, connection_id=CONNECTION_ID)
        return answer.body

    def secret(self, name: Any) -> str | None:
        versions = self.secrets.versions.get(name(CONNECTION_ID), [])
        return versions[-1].value.reveal() if versions and versions[-1].enabled else None


@pytest.fixture
def reminding(pages: Pages) -> Reminding:
    return Reminding(pages)


async def test_an_address_is_stored_in_key_vault_and_never_shown(reminding: Reminding) -> None:
    answer = await reminding.save(teams_address=TEAMS)
    assert answer.headers["Location"] == f"{PAGE}?done=saved"
    assert reminding.secret(teams_address_name) == TEAMS
    html = await reminding.shown("?done=saved")
    assert t("reminders.saved") in html
    assert t("reminders.kept") in html
    assert "planted" not in html
    assert "planted" not in repr(reminding.store.stored)
    settings = reminding.store.stored[CONNECTION_ID].settings
    assert (settings.receivers, settings.causes) == ((Receiver.TEAMS,), (Cause.OVERDUE,))
    assert reminding.directory.entries[CONNECTION_ID].reminder_due_at is not None


@pytest.mark.usefixtures("waits_end_at_once")
async def test_two_changes_at_once_come_one_after_the_other(reminding: Reminding) -> None:
    async with reminding.lease.held(CONNECTION_ID):
        later = asyncio.create_task(reminding.save(teams_address=TEAMS))
        await asyncio.sleep(5)
        assert reminding.secret(teams_address_name) is None
        assert not later.done()
    assert (await later).headers["Location"] == f"{PAGE}?done=saved"
    assert reminding.secret(teams_address_name) == TEAMS
    async with reminding.lease.held(CONNECTION_ID):
        with pytest.raises(TryLater, match="connection_busy"):
            await reminding.save(webhook_address=HOOK)
    assert reminding.secret(webhook_address_name) is None


async def test_a_new_signing_secret_is_shown_once(reminding: Reminding) -> None:
    html = text_of(await reminding.save(webhook_address=HOOK))
    made = reminding.secret(signing_secret_name)
    assert made is not None
    assert is_signing_secret(made)
    assert unescape(html).count(made) == 1
    assert made not in await reminding.shown()
    await reminding.save(quiet_from="22:00", quiet_to="07:00")
    assert reminding.secret(signing_secret_name) == made
    assert made not in text_of(await reminding.save(new_signing_secret="on"))
    assert reminding.secret(signing_secret_name) != made


async def test_an_address_is_removed_with_its_secrets(reminding: Reminding) -> None:
    await reminding.save(teams_address=TEAMS, webhook_address=HOOK)
    await reminding.save(remove_webhook_address="on")
    assert reminding.store.stored[CONNECTION_ID].settings.receivers == (Receiver.TEAMS,)
    assert [reminding.secret(each) for each in (webhook_address_name, signing_secret_name)] == [None, None]
    await forget_reminders(reminding.store, reminding.secrets, CONNECTION_ID)
    assert reminding.secrets.readable == set()
    assert reminding.store.stored == {}


async def test_a_test_message_says_at_once_what_was_answered(reminding: Reminding) -> None:
    assert t("reminders.test.first") in await reminding.shown()
    await reminding.save(teams_address=TEAMS)
    reminding.sender.results.append(Result(ResultCode.SIGNATURE_REFUSED, 401))
    answer = await reminding.pages.post(reminders_test, f"{PAGE}/test", [], caller=MANAGER, connection_id=CONNECTION_ID)
    assert answer.headers["Location"] == f"{PAGE}?done=tested#messages"
    html = await reminding.shown("?done=tested")
    assert t("reminder_result.signature_refused") in html
    assert t("reminders.answered", status=401) in html
    japanese = await reminding.shown("?done=tested", "ja")
    assert languages()["ja"]("reminder_result.signature_refused") in japanese


async def test_the_next_test_message_waits_unless_an_address_is_new(reminding: Reminding) -> None:
    await reminding.save(teams_address=TEAMS)
    for address, status in ((None, 303), (None, 429), (TEAMS, 303)):
        if address is not None:
            await reminding.save(teams_address=address)
        answer = await reminding.pages.post(
            reminders_test, f"{PAGE}/test", [], caller=MANAGER, connection_id=CONNECTION_ID
        )
        assert answer.status_code == status
        assert (answer.headers.get("Retry-After") == "10") is (status == 429)
        assert ("less than 10 seconds ago" in unescape(text_of(answer))) is (status == 429)
    assert len(reminding.sender.sent) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"teams_address": "http://hooks.contoso.com/planted"}, "fault.code.not_an_address"),
        ({"teams_address": "https://me:planted@hooks.contoso.com/"}, "fault.code.address_with_credentials"),
        ({"webhook_address": "https://127.0.0.1/planted"}, "fault.code.address_not_public"),
        ({"webhook_address": HOOK, "signing_secret": "planted"}, "fault.code.not_a_signing_secret"),
        ({"signing_secret": new_signing_secret().reveal()}, "fault.code.signing_secret_without_address"),
        ({"quiet_from": "22:00", "quiet_to": "22:00"}, "fault.code.quiet_hours_equal"),
    ],
)
async def test_a_fault_is_beside_its_field_and_repeats_nothing(
    reminding: Reminding, fields: dict[str, str], words: str
) -> None:
    answer = await reminding.save(**fields)
    html = unescape(text_of(answer))
    assert answer.status_code == 422
    assert t(words) in html
    assert "planted" not in html
    assert not any(value in html for value in fields.values() if value.startswith("whsec_"))
    assert reminding.secrets.versions == {}


async def test_the_api_changes_and_shows_everything_but_secrets(reminding: Reminding) -> None:
    put = await reminding.put(
        {
            "webhook_address": HOOK,
            "digest": None,
            "urgent": ["refused"],
            "quiet_hours": {"begin_at": "22:00", "end_at": "07:00"},
        }
    )
    assert put.new_signing_secret == reminding.secret(signing_secret_name)
    sent = await reminding.pages.ask(send_test_messages, "POST", caller=MANAGER, connection_id=CONNECTION_ID)
    assert [each.state for each in sent.body.messages] == ["delivered"]  # type: ignore[union-attr]
    shown = (await reminding.pages.ask(get_reminders, "GET", caller=MANAGER, connection_id=CONNECTION_ID)).body
    document = json.loads(shown.model_dump_json())  # type: ignore[union-attr]
    assert document["has_webhook_address"] is True
    assert document["has_teams_address"] is False
    assert (document["digest"], document["urgent"]) == (None, ["refused"])
    assert document["quiet_hours"] == {"begin_at": "22:00", "end_at": "07:00"}
    assert document["new_signing_secret"] is None
    assert "planted" not in json.dumps(document)


async def test_what_a_request_leaves_out_stays_and_null_removes(reminding: Reminding) -> None:
    await reminding.put({"teams_address": TEAMS, "webhook_address": HOOK})
    kept = await reminding.put({})
    assert (kept.has_teams_address, kept.has_webhook_address, kept.new_signing_secret) == (True, True, None)
    left = await reminding.put({"teams_address": None})
    assert (left.has_teams_address, left.has_webhook_address) == (False, True)
    with pytest.raises(FixRequest):
        await reminding.put({"webhook_address": None, "new_signing_secret": True})


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        (TEAMS, None),
        ("https://10.1.2.3/allowed", None),
        ("https://10.1.2.4/", "address_not_public"),
        ("https://[::1]/", "address_not_public"),
        ("https://2130706433/", "address_not_public"),
        ("https://127.1/", "address_not_public"),
        ("https://0x7f000001/", "address_not_public"),
        ("https://hooks/", "address_not_public"),
        ("https://hooks.localhost/", "address_not_public"),
        ("https://metadata.google.internal/", "address_not_public"),
        ("https://hooks.example./", None),
        ("https:///x", "not_an_address"),
        ("https://hooks.example:port/", "not_an_address"),
        ("https://hooks.example/#x", "not_an_address"),
        ("https://hooks.example/a b", "not_an_address"),
        ("https://hooks.example\\@10.0.0.1/", "not_an_address"),
        ("https://höoks.example/", "not_an_address"),
        ("file:///etc/passwd", "not_an_address"),
    ],
)
def test_addresses(address: str, fault: str | None) -> None:
    assert address_fault(address, ("10.1.2.3",)) == fault


@pytest.mark.parametrize("cause", [each for each in Cause if each is not Cause.CONSENT_ENDS])
def test_links_in_messages_lead_to_lists_that_understand_them(cause: Cause) -> None:
    for address in (
        Links("https://x.example").cause(cause, "contoso"),
        Links("https://x.example").open_tickets("contoso"),
    ):
        link = read_list_link(read_query(address), ["contoso"], [])
        assert link.not_understood == ()
        assert sum(bool(value) for value in link.chosen.values()) == 2
