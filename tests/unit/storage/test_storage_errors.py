"""Failures of storage, in the product's words."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import CredentialUnavailableError

from shared.errors import StorageUnavailable
from shared.storage import tables
from shared.storage.tables import storage_errors
from tests.english import told


def answered(error: type[HttpResponseError], status: int, **headers: str) -> HttpResponseError:
    """Return the error that the SDK makes from an answer."""
    response = SimpleNamespace(status_code=status, reason="", headers=headers, text=lambda **_: "", content_type="")
    return error(message="the SDK's words, account key and all", response=response)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServiceRequestError("x"), "storage_unavailable"),
        (ServiceResponseError("x"), "storage_unavailable"),
        (IncompleteReadError("x"), "storage_unavailable"),
        (answered(HttpResponseError, 500), "storage_unavailable"),
        (answered(HttpResponseError, 503), "storage_unavailable"),
        (answered(HttpResponseError, 408), "storage_unavailable"),
        (answered(HttpResponseError, 429), "storage_unavailable"),
        (answered(HttpResponseError, 403), "storage_access_refused"),
        (answered(ClientAuthenticationError, 401), "storage_access_refused"),
        (ClientAuthenticationError("x"), "storage_access_refused"),
        (CredentialUnavailableError("x"), "storage_access_refused"),
        (answered(ResourceNotFoundError, 404, **{"x-ms-error-code": "TableNotFound"}), "storage_table_missing"),
    ],
)
def test_what_nobody_can_help_is_tried_again(error: AzureError, code: str) -> None:
    with pytest.raises(StorageUnavailable) as caught, storage_errors():
        raise error
    assert caught.value.code == code
    assert "account key" not in told(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "error",
    [
        answered(ResourceNotFoundError, 404, **{"x-ms-error-code": "ResourceNotFound"}),
        answered(ResourceExistsError, 409),
        answered(ResourceModifiedError, 412),
        answered(HttpResponseError, 400),
        answered(HttpResponseError, 413),
    ],
)
def test_what_the_caller_knows_better_passes(error: AzureError) -> None:
    with pytest.raises(type(error)) as caught, storage_errors():
        raise error
    assert caught.value is error


def test_what_failed_is_logged_but_not_the_sdks_words(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StorageUnavailable), storage_errors():
        raise ServiceRequestError("the SDK's words", error=ConnectionResetError("and those beneath"))
    with pytest.raises(StorageUnavailable), storage_errors():
        raise answered(HttpResponseError, 503)
    told = {"event": "storage_failed", "code": "storage_unavailable"}
    assert [json.loads(record.getMessage()) for record in caplog.records] == [
        {**told, "error": "ServiceRequestError", "reason": "ConnectionResetError"},
        {**told, "error": "HttpResponseError", "status": 503},
    ]


def test_every_insert_and_transaction_is_repeated_when_its_connection_breaks() -> None:
    """Only one module sends transactions; it gets the option when the tables are opened."""
    writes = [
        ast.unparse(node)
        for file in Path(tables.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"create_entity", "submit_transaction", "EntityTransactions"}
    ]
    assert len(writes) >= 2
    assert [write for write in writes if "REPEATED)" not in write or "submit_transaction" in write] == []


def test_the_time_to_wait_is_passed_on() -> None:
    with pytest.raises(StorageUnavailable) as caught, storage_errors():
        raise answered(HttpResponseError, 429, **{"Retry-After": "7"})
    assert caught.value.retry_after_s == 7
