"""A Microsoft Graph that returns a test's answers, and tokens that nobody has signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from shared.graph.lists import GraphLists
from shared.graph.source import SecureScoreSource
from shared.graph.tokens import GraphToken, TenantTokens
from shared.graph.transport import GraphTransport
from shared.outbound.transport import Limits, Transport
from shared.tenants.model import Tenant
from tests.unit.outbound.support import Answering

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
TENANT_ID = "11111111-aaaa-4bbb-8ccc-000000000001"
TENANT = Tenant(TENANT_ID, "Contoso")
GRAPH = "https://graph.microsoft.com"
PROFILES = f"{GRAPH}/v1.0/security/secureScoreControlProfiles"
SCORES = f"{GRAPH}/v1.0/security/secureScores"
ROLE = "SecurityEvents.Read.All"

type Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def jwt(**claims: object) -> str:
    """A token with these claims; its signature is a canary that no log may show."""
    parts = ({"alg": "RS256"}, {"tid": TENANT_ID, "roles": [ROLE], "exp": 1_800_000_000} | claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "canary-signature"])


@dataclass
class ScriptedTokens:
    """Gives out tokens in turn, then the last one again; a new one is the next."""

    tokens: Sequence[str] = field(default_factory=lambda: [jwt(), jwt(jti="2")])
    asked: list[str] = field(default_factory=list)
    claims: list[str | None] = field(default_factory=list)

    async def access_token(self, tenant_id: str) -> GraphToken:
        return self._token(self.asked.count("new"))

    async def new_access_token(self, tenant_id: str, *, claims: str | None = None) -> GraphToken:
        self.asked.append("new")
        self.claims.append(claims)
        return self._token(self.asked.count("new"))

    def _token(self, index: int) -> GraphToken:
        token = GraphToken.decoded(self.tokens[min(index, len(self.tokens) - 1)])
        assert token is not None
        return token


@dataclass
class Graph:
    """Returns the replies in turn, then repeats the last one, and remembers the requests."""

    replies: Sequence[Reply]
    requests: list[httpx.Request] = field(default_factory=list)
    tokens: ScriptedTokens = field(default_factory=ScriptedTokens)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else reply(request)

    def lists(self, limits: Limits | None = None, graph_url: str = GRAPH) -> GraphLists:
        return lists_over(self, limits, self.tokens, graph_url)

    def source(self, limits: Limits | None = None) -> SecureScoreSource:
        return SecureScoreSource(self.lists(limits), self.tokens)

    @property
    def addresses(self) -> list[str]:
        """The requested addresses, with their parameters as people write them."""
        return [str(request.url).replace("%24", "$") for request in self.requests]


def lists_over(
    handler: Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]],
    limits: Limits | None = None,
    tokens: TenantTokens | None = None,
    graph_url: str = GRAPH,
) -> GraphLists:
    transport = GraphTransport(Transport(network=Answering(handler)), limits=limits, clock=lambda: NOW)
    return GraphLists(transport, tokens or ScriptedTokens(), graph_url)


def graph(*replies: Reply) -> Graph:
    return Graph(replies)


def json_reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(document).encode()
    return raw_reply(body, status, "application/json;odata.metadata=minimal;charset=utf-8", headers)


def raw_reply(
    body: bytes, status: int = 200, content_type: str = "text/html", headers: Mapping[str, str] | None = None
) -> Reply:
    """Return a new response for each request, because a response can be read only once."""
    return lambda _: httpx.Response(status, headers={"Content-Type": content_type, **(headers or {})}, content=body)


def page(
    *items: object, next_link: object = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    more = {} if next_link is None else {"@odata.nextLink": next_link}
    return json_reply({"@odata.context": f"{GRAPH}/v1.0/$metadata#security", "value": items, **more}, status, headers)


def error_reply(status: int, code: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    error = {"code": code, "message": "canary-message", "innerError": {"request-id": "x"}}
    return json_reply({"error": error}, status, headers)


def profile(control_id: str = "AdminMFAV2", **changed: object) -> dict[str, object]:
    """A catalogue entry as it comes (Microsoft Graph §1.2)."""
    return {
        "id": control_id,
        "azureTenantId": TENANT_ID,
        "actionType": "Config",
        "actionUrl": "https://security.microsoft.com/safeattachmentv2",
        "controlCategory": "Apps",
        "title": "Turn on Safe Attachments in block mode",
        "deprecated": False,
        "implementationCost": "Medium",
        "lastModifiedDateTime": None,
        "maxScore": 8.0,
        "rank": 128,
        "remediation": "\n<ol><li>Do it</li></ol>",
        "remediationImpact": "<p>Mail is late</p>",
        "service": "MDO",
        "threats": ["Account breach"],
        "tier": "Core",
        "userImpact": "High",
        "vendorInformation": {"provider": "SecureScore", "providerVersion": None, "vendor": "Microsoft"},
        "complianceInformation": [],
        "controlStateUpdates": [
            {"assignedTo": None, "comment": None, "state": "Default", "updatedBy": None, "updatedDateTime": None}
        ],
        **changed,
    }


def control(control_id: str = "AdminMFAV2", **changed: object) -> dict[str, object]:
    """A measured control of the newest score (Microsoft Graph §1.4)."""
    return {
        "controlCategory": "Identity",
        "controlName": control_id,
        "description": "<p>Why</p>",
        "score": 7.2,
        "scoreInPercentage": 80.0,
        "implementationStatus": "You have 40 out of 200 users that aren’t registered with MFA.",
        "count": "160",
        "total": "200",
        "lastSynced": "2026-11-22T13:04:06Z",
        **changed,
    }


def score(day: str = "2026-11-24", *controls: object, **changed: object) -> dict[str, object]:
    """A daily score (Microsoft Graph §1.4)."""
    return {
        "id": f"{TENANT_ID}_{day}",
        "azureTenantId": TENANT_ID,
        "activeUserCount": 212,
        "createdDateTime": f"{day}T00:00:00Z",
        "currentScore": 7.2,
        "licensedUserCount": 0,
        "maxScore": 9.0,
        "enabledServices": ["HasAADP1"],
        "vendorInformation": {"provider": "SecureScore", "vendor": "Microsoft"},
        "averageComparativeScores": [{"basis": "AllTenants", "averageScore": 46.21}],
        "controlScores": list(controls) or [control()],
        **changed,
    }
