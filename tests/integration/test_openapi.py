"""The HTTP API agrees with its own description: whatever is sent, nothing breaks, and every answer is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

import function_app  # noqa: F401 - declares every operation
from shared.request_texts import EMAIL, LINK
from shared.triggers.openapi import openapi_document, problems_of
from shared.triggers.routes import operations
from tests.fixtures.whole_app import Connected, WholeApp, described_problem

SETTINGS = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
DOCUMENT = json.loads(json.dumps(openapi_document(operations(), "http://127.0.0.1")))
CODES = {each.name: problems_of(each) for each in operations()}
# The session identifies the caller; the platform would refuse any random token.
CONFIG = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CALLBACK = "/api/oauth/callback"
EVIDENCE = "/api/evidence"


@pytest.fixture(scope="module")
def schema() -> schemathesis.BaseSchema:
    """The description whose operations are called."""
    return schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@pytest.fixture(scope="module")
def connected(app: WholeApp) -> Connected:
    return app.connected()


@pytest.fixture(scope="module")
def ticket_id(app: WholeApp, connected: Connected) -> str:
    return str(app.create(connected)["ticket_id"])


@pytest.fixture(scope="module")
def session(app: WholeApp) -> Iterator[requests.Session]:
    """Megan's browser, which does not follow redirects."""
    with requests.Session() as browser:
        browser.trust_env = False
        browser.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in app.megan.cookies.items())
        yield browser


@pytest.mark.parametrize("operation_id", CODES)
def test_an_operation_answers_as_described(
    operation_id: str,
    schema: schemathesis.BaseSchema,
    app: WholeApp,
    session: requests.Session,
    connected: Connected,
    ticket_id: str,
) -> None:
    """Schemathesis's own decorator would think up the cases, for seconds, in every worker that collects this module."""
    operation = schema.include(operation_id=operation_id)
    [made] = get_all_tests(schema=operation, test_func=answers_as_described, settings=SETTINGS, given_kwargs={})
    assert isinstance(made, Ok)
    _, attack = made.ok()
    attack(app=app, session=session, connected=connected, ticket_id=ticket_id)


def answers_as_described(
    case: Any, app: WholeApp, session: requests.Session, connected: Connected, ticket_id: str
) -> None:
    """Send what was thought up and check the answer."""
    use_what_there_is(case, connected, ticket_id)
    answer = case.call(base_url=app.host.url, session=session, allow_redirects=False)
    app.canary.answers.append(answer.text)
    if answer.status_code == 400 and not answer.content:
        assert "%00" in str(answer.request.url)  # the web server refuses it; the app never sees it
        return
    case.validate_response(answer, checks=CHECKS + checks_of_data(case))
    if answer.status_code >= 400 and answer.content:
        problem = described_problem(answer.content)
        assert problem["status"] == answer.status_code
        if case.method != case.operation.method.upper():  # some cases try a method that the operation does not have
            # Or another operation fits the path too: GET /api/tickets/retry asks for a ticket with that id.
            other = f"{case.method} {case.operation.path}"
            answered = "ticket_not_found" if other in {"GET /api/tickets/retry", "GET /api/tickets/bulk"} else None
            assert problem["code"] in {"method_not_allowed", "cross_site_request", answered}
            return
        documented = CODES[case.operation.definition.raw["operationId"]]
        assert problem["code"] in documented[answer.status_code]


def checks_of_data(case: Any) -> list[Any]:
    """Return the checks that an answer depends on the data as JSON schema says.

    The callback takes whatever it is sent out of the address before anything judges it. Operations with a body have
    rules beyond JSON schema, for a due date or a time zone, and so has the period of the evidence.
    """
    if case.operation.path == CALLBACK:
        return []
    return (
        [negative_data_rejection]
        if case.operation.body or case.operation.path == EVIDENCE
        else [negative_data_rejection, positive_data_acceptance]
    )


def use_what_there_is(case: Any, connected: Connected, ticket_id: str) -> None:
    """Give every other case an existing connection and ticket; random ids would never hit one."""
    if len(case.path_parameters.get("ticket_id", "")) % 2:
        case.path_parameters["ticket_id"] = ticket_id
    if isinstance(case.body, dict) and "connection_id" not in case.body and case.path == "/api/tickets":
        case.body["connection_id"] = connected.connection_id


def test_the_served_document_is_this_one(app: WholeApp) -> None:
    served = app.megan.get("/api/openapi.json")
    assert served["servers"] == [{"url": app.host.public_url}]
    assert {**served, "servers": None} == {**DOCUMENT, "servers": None}


def test_patterns_are_reported() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for model, field, pattern in (("Recommendation", "link", LINK), ("Requester", "email", EMAIL)):
        assert schemas[model]["properties"][field]["anyOf"][0]["pattern"] == pattern
