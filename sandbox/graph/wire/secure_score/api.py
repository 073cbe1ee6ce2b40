"""`secureScores` and `secureScoreControlProfiles`: lists and single items (Microsoft Graph §1.1, §1.3)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.routing import Route

from sandbox.graph.engine.control import Control
from sandbox.graph.engine.snapshot import Snapshot
from sandbox.graph.engine.switches import Switches
from sandbox.graph.wire.call import Call, Endpoints
from sandbox.graph.wire.caller import READ_ROLES
from sandbox.graph.wire.errors import bad_request, not_found
from sandbox.graph.wire.odata.filter import Item
from sandbox.graph.wire.odata.options import Options, read_options
from sandbox.graph.wire.odata.paging import SkipTokens
from sandbox.graph.wire.secure_score.representation import (
    PROFILE_PROPERTIES,
    PROFILE_SCALARS,
    SCORE_PROPERTIES,
    SCORE_SCALARS,
    profile,
    secure_score,
)

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_VERSIONS = ("v1.0", "beta")
_SCORES = "security/secureScores"
_PROFILES = "security/secureScoreControlProfiles"


class SecureScoreApi:
    """The Secure Score of the caller's tenant."""

    def __init__(self, endpoints: Endpoints, skip_tokens: SkipTokens) -> None:
        self._endpoints = endpoints
        self._skip_tokens = skip_tokens

    def routes(self) -> list[Route]:
        """Return the routes of both versions, which answer alike (Microsoft Graph §1.1)."""
        endpoint = self._endpoints.endpoint
        endpoints = {
            _SCORES: endpoint({"GET": self._scores}, is_for_scores=True),
            f"{_SCORES}/{{id:path}}": endpoint({"GET": self._one_score}, is_for_scores=True),
            _PROFILES: endpoint({"GET": self._profiles}),
            f"{_PROFILES}/{{id:path}}": endpoint({"GET": self._one_profile}),
            "{path:path}": endpoint({}),
        }
        return [
            Route(f"/{version}/{path}", answer, methods=_METHODS)
            for version in _VERSIONS
            for path, answer in endpoints.items()
        ]

    def _scores(self, call: Call) -> Mapping[str, object]:
        call.caller.require_any(READ_ROLES, call.world.switches)
        switches = call.world.switches
        options = read_options(call.request.url.query, SCORE_SCALARS, SCORE_PROPERTIES, switches)
        newest_first = list(reversed(call.tenant.snapshots))
        render = partial(_rendered_score, call, newest_first[0].id if newest_first else "")
        return self._page(call, _SCORES, options, newest_first, render, options.top or len(newest_first) or 1)

    def _profiles(self, call: Call) -> Mapping[str, object]:
        call.caller.require_any(READ_ROLES, call.world.switches)
        switches = call.world.switches
        options = read_options(call.request.url.query, PROFILE_SCALARS, PROFILE_PROPERTIES, switches)
        render = partial(_rendered_profile, call)
        return self._page(call, _PROFILES, options, _listed(call), render, _profiles_on_page(options, switches))

    def _one_score(self, call: Call) -> Mapping[str, object]:
        call.caller.require_any(READ_ROLES, call.world.switches)
        wanted = call.request.path_params["id"]
        for snapshot in call.tenant.snapshots:
            if snapshot.id == wanted:
                return _single(call, _SCORES, _rendered_score(call, call.tenant.snapshots[-1].id, snapshot))
        raise not_found(call.world.switches, wanted)

    def _one_profile(self, call: Call) -> Mapping[str, object]:
        call.caller.require_any(READ_ROLES, call.world.switches)
        wanted = call.request.path_params["id"]
        for control in _listed(call):
            if control.id == wanted:
                return _single(call, _PROFILES, _rendered_profile(call, control))
        raise not_found(call.world.switches, wanted)

    def _page[Source](
        self,
        call: Call,
        resource: str,
        options: Options,
        sources: Sequence[Source],
        render: Callable[[Source], Item],
        size: int,
    ) -> Mapping[str, object]:
        tenant_id = call.tenant.id
        offset = options.skip
        if options.skip_token:
            offset = self._skip_tokens.offset(options.skip_token, tenant_id, resource)
        if options.condition or options.order:
            items = options.applied(render(source) for source in sources)
            count, page = len(items), items[offset : offset + size]
        else:
            count, page = len(sources), [render(source) for source in sources[offset : offset + size]]
        body: dict[str, object] = {"@odata.context": f"{call.origin}/v1.0/$metadata#{resource}"}
        if options.counts:
            body["@odata.count"] = count
        if offset + size < count:
            token = self._skip_tokens.issue(tenant_id, resource, offset + size)
            query = "&".join((*options.kept, f"$skiptoken={token}"))
            body["@odata.nextLink"] = f"{call.origin}{call.request.url.path}?{query}"
        return body | {"value": options.selected(page)}


def _listed(call: Call) -> list[Control]:
    """Return the tenant's controls, except those of a service that does not answer."""
    is_first_day = not call.tenant.snapshots
    if is_first_day and call.world.switches.text("first_day.profiles") == "empty":
        return []
    return [control for control in call.tenant.profiles() if control.service != call.omitted_service]


def _rendered_profile(call: Call, control: Control) -> Item:
    updates = call.world.shown_state_updates(call.tenant, control.id)
    return profile(control, call.tenant.id, updates, call.world.switches, call.language)


def _rendered_score(call: Call, newest_id: str, snapshot: Snapshot) -> Item:
    if call.omitted_service:
        snapshot = snapshot.without_service(call.omitted_service)
    return secure_score(snapshot, call.world.switches, is_newest=snapshot.id == newest_id)


def _profiles_on_page(options: Options, switches: Switches) -> int:
    largest, default = switches.number("profiles.largest_top"), switches.number("profiles.page_size")
    if options.top is None or options.top <= largest:
        return options.top or default
    match switches.text("profiles.oversize_top"):
        case "refused":
            raise bad_request(f"The limit of '{largest}' for $top has been exceeded.")
        case "ignored":
            return default
        case _:
            return largest


def _single(call: Call, resource: str, item: Item) -> Mapping[str, object]:
    return {"@odata.context": f"{call.origin}/v1.0/$metadata#{resource}/$entity", **item}
