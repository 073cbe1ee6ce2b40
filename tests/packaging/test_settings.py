"""The settings files that are published or shown to newcomers agree with the code and with our decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.azurite import ACCOUNT_KEY
from sandbox.functions_host.host_json import QueueSettings, time_span
from shared.maintenance.fan_out import MESSAGE_TTL, PER_MESSAGE
from shared.settings import SETTING_NAMES, Settings

ROOT = Path(__file__).parent.parent.parent
SET_BY_THE_PLATFORM = {"WEBSITE_AUTH_ENABLED"}
READ_BY_OTHERS = {
    "AzureWebJobsStorage",  # the host
    "FUNCTIONS_WORKER_RUNTIME",  # the host
    "IDENTITY_ENDPOINT",  # azure-identity
    "IDENTITY_HEADER",  # azure-identity
    "SSL_CERT_FILE",  # OpenSSL
    "PYDANTIC_DISABLE_PLUGINS",  # pydantic
    "WorkQueue__credential",  # the host
}


@pytest.fixture
def values() -> dict[str, str]:
    """The values of the sample."""
    sample: dict[str, dict[str, str]] = json.loads((ROOT / "local.settings.sample.json").read_text())
    return sample["Values"]


@pytest.fixture
def host_json() -> dict[str, Any]:
    """The host's settings."""
    read: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
    return read


def test_the_sample_holds_every_setting_and_no_other(values: dict[str, str]) -> None:
    assert set(values) == (set(SETTING_NAMES) - SET_BY_THE_PLATFORM) | READ_BY_OTHERS


def test_the_sample_is_usable(values: dict[str, str]) -> None:
    settings = Settings.from_environment(values)
    assert settings.redirect_uri == "http://localhost:7071/api/oauth/callback"
    assert all(isinstance(value, str) for value in values.values())


def test_the_sample_opens_the_sandboxs_storage(values: dict[str, str]) -> None:
    parts = dict(part.split("=", 1) for part in values["AzureWebJobsStorage"].split(";"))
    assert parts["AccountKey"] == ACCOUNT_KEY
    assert parts["TableEndpoint"] == values["TABLES_URL"]


def test_an_invocation_ends_soon(host_json: dict[str, Any]) -> None:
    assert host_json["functionTimeout"] == "00:02:00"


def test_the_bundle_is_the_one_in_support(host_json: dict[str, Any]) -> None:
    assert host_json["extensionBundle"]["version"] == "[4.*, 5.0.0)"


def test_pages_live_at_the_root(host_json: dict[str, Any]) -> None:
    assert host_json["extensions"]["http"]["routePrefix"] == ""


def test_every_answer_is_closed_unless_a_function_opens_it(host_json: dict[str, Any]) -> None:
    headers = host_json["extensions"]["http"]["customHeaders"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    # "no-referrer" would make browsers send "Origin: null" with our own forms, and the pages check Origin on writes.
    assert headers["Referrer-Policy"] == "same-origin"
    assert host_json["extensions"]["http"]["hsts"] == {"isEnabled": True, "maxAge": "365", "includeSubDomains": True}


def test_a_failing_message_is_poisoned_before_it_expires(host_json: dict[str, Any]) -> None:
    """Else nobody would hear of it (Storage Queue §M5, §M6, §W7)."""
    queues = host_json["extensions"]["queues"]
    hidden = time_span(queues["visibilityTimeout"])
    assert (queues["maxDequeueCount"] - 1) * hidden < MESSAGE_TTL


def test_the_host_can_read_the_settings_of_queues(host_json: dict[str, Any]) -> None:
    settings = QueueSettings.read(host_json["extensions"]["queues"])
    assert (settings.batch_size + settings.new_batch_threshold) * PER_MESSAGE == 160, (
        "turns at once, as docs/architecture.md says"
    )
    assert settings.is_base64, "shared/storage/work_queue.py encodes messages"
