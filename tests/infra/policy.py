"""Evaluate Azure policies on what a template deploys.

The policies are data, in ``policies/*.toml``; ``policies/README.md`` describes their form. The rules of evaluation are
Azure's: comparisons ignore case; a missing field satisfies ``notEquals`` and never ``equals``; append and modify act
before deny; a policy of mode *Indexed* sees only resources with tags and a location; ``deployIfNotExists`` is satisfied
by a related resource and otherwise acts after the deployment.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.infra.snapshots import Json

POLICIES: Final = Path(__file__).parent / "policies"
SCOPES: Final = ("root", "landing_zones", "corp", "guardrails", "offered", "customer")
"""Who assigns a policy, as ``policies/README.md`` describes."""

type Condition = Callable[[Json], bool]
type Named = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy; its condition says for which resources it fires."""

    number: int
    name: str
    id: str
    mode: str
    effects: Mapping[str, str]
    condition: Condition
    writes: Mapping[str, Any]
    related: str
    exists: Condition
    tested_by: str
    example: Json
    fixed_by: Mapping[str, Any]
    related_example: Json | None

    def sees(self, resource: Json) -> bool:
        """Whether it looks at such a resource at all."""
        match self.mode:
            case "Indexed":
                return "location" in resource
            case "Data":
                return str(resource["type"]).startswith("Microsoft.KeyVault.Data/")
            case _:
                return True

    def fires(self, resource: Json, deployed: Iterable[Json] = ()) -> bool:
        """Whether it acts on a resource that is deployed together with these."""
        if not (self.sees(resource) and self.condition(resource)):
            return False
        return not (self.related and any(map(self.exists, self._below(resource, deployed))))

    def changed(self, resource: Json) -> Json:
        """Return the resource as append or modify leaves it."""
        after = copy.deepcopy(resource)
        for field, value in self.writes.items():
            write(after, field, value)
        return after

    def _below(self, resource: Json, deployed: Iterable[Json]) -> Iterator[Json]:
        for each in (*deployed, *_implied(resource)):
            if each["type"] == self.related and each["name"].startswith(f"{resource['name']}/"):
                yield each


class Finding(NamedTuple):
    """A policy that acts on a resource."""

    policy: Policy
    resource: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What policies do to a deployment."""

    refused: tuple[Finding, ...]
    changed: tuple[Finding, ...]
    """Silently, before the deployment."""
    added: tuple[Finding, ...]
    """Some minutes after the deployment."""
    audited: tuple[Finding, ...]


def policies(folder: Path = POLICIES) -> tuple[Policy, ...]:
    """Read all policies, in the order of their numbers. Raises ValueError for a condition that cannot be read."""
    documents = [tomllib.loads(file.read_text()) for file in sorted(folder.glob("*.toml"))]
    read = [_policy(entry, document.get("named", {})) for document in documents for entry in document["policy"]]
    return tuple(sorted(read, key=lambda policy: policy.number))


def evaluate(resources: Sequence[Json], assigned: Iterable[Policy], scopes: Iterable[str]) -> Outcome:
    """Deploy these resources where these scopes assign policies.

    Resources of Microsoft Graph are not resources of Azure; no policy sees them.
    """
    azure = [each for each in resources if not each["type"].startswith("Microsoft.Graph/")]
    acting = [(policy, {policy.effects[scope] for scope in scopes if scope in policy.effects}) for policy in assigned]

    def having(*effects: str) -> list[Policy]:
        return [policy for policy, its in acting if its & set(effects)]

    changed: list[Finding] = []
    for policy in (*having("append"), *having("modify")):
        for place, resource in enumerate(azure):
            if policy.fires(resource, azure):
                changed.append(Finding(policy, resource["id"]))
                azure[place] = policy.changed(resource)

    def firing(effect: str) -> tuple[Finding, ...]:
        return tuple(
            Finding(policy, resource["id"])
            for policy in having(effect)
            for resource in azure
            if policy.fires(resource, azure)
        )

    refused = firing("deny")
    audited = tuple(found for found in firing("audit") if found not in refused)
    return Outcome(refused, tuple(changed), firing("deployIfNotExists"), audited)


def read(resource: Json, field: str) -> Any:
    """Return a field, such as ``properties.sku.name``, without regard to case; None if it is missing."""
    value: Any = resource
    for name in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = next((content for key, content in value.items() if key.lower() == name.lower()), None)
    return value


def write(resource: Json, field: str, value: Any) -> None:
    """Set a field, and what is above it."""
    *above, last = field.split(".")
    for name in above:
        if not isinstance(resource.get(name), dict):
            resource[name] = {}
        resource = resource[name]
    resource[last] = value


def condition(clauses: Sequence[Any], named: Named | None = None) -> Condition:
    """Read clauses, all of which have to hold. Raises ValueError if one cannot be read."""
    parts = [_clause(each, named or {}) for each in clauses]
    return lambda resource: all(part(resource) for part in parts)


def _policy(entry: Json, named: Named) -> Policy:
    return Policy(
        number=entry["number"],
        name=entry["name"],
        id=entry["id"],
        mode=entry["mode"],
        effects={scope: entry[scope] for scope in SCOPES if scope in entry},
        condition=condition(entry["when"], named),
        writes=entry.get("writes", {}),
        related=entry.get("related", ""),
        exists=condition(entry.get("exists_when", [])),
        tested_by=entry.get("tested_by", ""),
        example=entry["example"],
        fixed_by=entry["fixed_by"],
        related_example=entry.get("related_example"),
    )


def _clause(clause: Any, named: Named) -> Condition:
    match clause:
        case {"any": parts}:
            choices = [_clause(each, named) for each in parts]
            return lambda resource: any(choice(resource) for choice in choices)
        case {"all": parts}:
            return condition(parts, named)
        case {"no": parts}:
            all_of_them = condition(parts, named)
            return lambda resource: not all_of_them(resource)
        case {"count": field, "is": comparison}:
            return _count(field, condition(clause.get("where", []), named), comparison)
        case str() if clause.startswith("as "):
            return condition(named[clause.removeprefix("as ")], named)
        case str():
            field, operator, *value = clause.split(" ", 2)
            return partial(_compare_field, field, _operator(operator), value[0] if value else "")
        case _:
            raise ValueError(f"not a condition: {clause}")


def _count(field: str, where: Condition, comparison: str) -> Condition:
    operator, wanted = comparison.split()
    compare = _operator(operator)

    def holds(resource: Json) -> bool:
        elements = read(resource, field) or []
        # An element that is no object gets a field for its value.
        objects = [each if isinstance(each, dict) else {"value": each} for each in elements]
        return compare(sum(map(where, objects)), wanted)

    return holds


def _compare_field(field: str, compare: Callable[[Any, str], bool], wanted: str, resource: Json) -> bool:
    value = read(resource, field)
    if field == "name" and isinstance(value, str):
        # The name of a child, without its parents'.
        value = value.rpartition("/")[2]
    return compare(value, wanted)


def _operator(name: str) -> Callable[[Any, str], bool]:
    negated = {"notEquals": "equals", "notIn": "in", "notContains": "contains"}.get(name)
    if negated is not None:
        positive = _OPERATORS[negated]
        return lambda value, wanted: not positive(value, wanted)
    if name not in _OPERATORS:
        raise ValueError(f"not an operator: {name}")
    return _OPERATORS[name]


def _text(value: Any) -> str:
    return str(value).lower()


def _in_order(value: Any, wanted: str) -> int:
    """Return a number less than, equal to or greater than zero, as the value is to what is wanted."""
    if isinstance(value, int | float):
        return (value > float(wanted)) - (value < float(wanted))
    return (_text(value) > wanted.lower()) - (_text(value) < wanted.lower())


def _period(text: str) -> tuple[int, ...]:
    """Read days, hours, minutes and seconds from ``7.00:00:00``."""
    return tuple(int(part) for part in text.replace(".", ":").split(":"))


_OPERATORS: Final[dict[str, Callable[[Any, str], bool]]] = {
    "equals": lambda value, wanted: value is not None and _text(value) == wanted.lower(),
    "in": lambda value, wanted: value is not None and _text(value) in wanted.lower().split(" | "),
    "contains": lambda value, wanted: value is not None and wanted.lower() in _text(value),
    "exists": lambda value, wanted: (value is not None) == (wanted == "true"),
    "less": lambda value, wanted: value is not None and _in_order(value, wanted) < 0,
    "greater": lambda value, wanted: value is not None and _in_order(value, wanted) > 0,
    "greaterOrEquals": lambda value, wanted: value is not None and _in_order(value, wanted) >= 0,
    "longerThan": lambda value, wanted: value is not None and _period(value) > _period(wanted),
}


def _implied(resource: Json) -> Iterator[Json]:
    """Yield the child resources that Azure makes of a resource's properties."""
    if resource["type"] == "Microsoft.Web/sites":
        # Remote debugging is off unless somebody switches it on.
        settings = {"remoteDebuggingEnabled": False, **(read(resource, "properties.siteConfig") or {})}
        yield {"type": "Microsoft.Web/sites/config", "name": f"{resource['name']}/web", "properties": settings}
