"""The evaluation of Azure policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.infra.policy import Policy, condition, evaluate, policies, read, write
from tests.infra.snapshots import Json

VALUES = (
    st.none() | st.booleans() | st.sampled_from(["Disabled", "disabled", "ENABLED", "", "none"]) | st.integers(0, 9)
)
WORDS = st.sampled_from(["Disabled", "enabled", "None", "true", "3"])


def policy(effect: str, when: list[Any], **others: Any) -> Policy:
    """A policy of the scope *root*."""
    plain: Json = {"number": 1, "name": effect, "id": effect, "mode": "All", "writes": {}, "related": ""}
    plain |= {"tested_by": "", "example": {}, "fixed_by": {}, "related_example": None, "exists": condition([])}
    return Policy(**(plain | {"effects": {"root": effect}, "condition": condition(when)} | others))


def holds(clause: Any, resource: Json) -> bool:
    return condition([clause])(resource)


class TestComparisons:
    @given(VALUES, WORDS)
    def test_every_negation_is_the_opposite(self, value: Any, word: str) -> None:
        for positive, negative in (("equals", "notEquals"), ("in", "notIn"), ("contains", "notContains")):
            assert holds(f"x {positive} {word}", {"x": value}) != holds(f"x {negative} {word}", {"x": value})

    @given(VALUES, WORDS)
    def test_case_does_not_matter(self, value: Any, word: str) -> None:
        changed = value.swapcase() if isinstance(value, str) else value
        for operator in ("equals", "in", "contains"):
            expected = holds(f"x {operator} {word}", {"x": value})
            assert holds(f"X {operator} {word.swapcase()}", {"x": changed}) == expected

    @pytest.mark.parametrize("resource", [{}, {"x": None}, {"x": {}}], ids=["no parent", "null", "no child"])
    def test_what_is_missing_satisfies_negations_only(self, resource: Json) -> None:
        for operator in ("equals", "in", "contains", "less", "greater", "greaterOrEquals", "longerThan"):
            assert not holds(f"x.y {operator} 1", resource), operator
        for operator in ("notEquals", "notIn", "notContains"):
            assert holds(f"x.y {operator} 1", resource), operator
        assert holds("x.y exists false", resource)
        assert not holds("x.y exists true", resource)

    def test_truth_numbers_and_dates(self) -> None:
        assert holds("x equals true", {"x": True})
        assert holds("x less 7", {"x": 6})
        assert not holds("x less 7", {"x": 10})
        assert holds("apiVersion less 2021-06-01-preview", {"apiVersion": "2019-09-01"})
        assert holds("apiVersion greaterOrEquals 2024-11-01", {"apiVersion": "2024-11-01"})

    @given(st.integers(0, 30), st.integers(0, 23))
    def test_periods_are_compared_as_time(self, days: int, hours: int) -> None:
        longer = (days, hours) > (7, 0)
        assert holds("x longerThan 7.00:00:00", {"x": f"{days:02}.{hours:02}:00:00"}) == longer

    def test_one_of_several_values(self) -> None:
        assert holds("x in None | Logging, Metrics", {"x": "logging, metrics"})
        assert not holds("x in None | Logging, Metrics", {"x": "Logging"})

    @pytest.mark.parametrize("clause", ["x is y", {"some": []}, 3])
    def test_a_mistake_is_not_a_condition(self, clause: Any) -> None:
        with pytest.raises(ValueError, match="not a"):
            condition([clause])

    @given(st.lists(VALUES))
    def test_elements_are_counted(self, values: list[Any]) -> None:
        resource = {"list": [{"x": value} for value in values]}
        open_ones = sum(str(value).lower() != "disabled" for value in values)
        counted = {"count": "list", "where": ["x notEquals Disabled"], "is": f"equals {open_ones}"}
        assert holds(counted, resource)

    def test_values_that_are_no_objects_are_counted_too(self) -> None:
        assert holds({"count": "zones", "where": ["value equals 2"], "is": "equals 1"}, {"zones": ["1", "2"]})
        assert holds({"count": "zones", "is": "equals 0"}, {})

    def test_alternatives_and_exclusions(self) -> None:
        either = {"any": ["x equals 1", {"all": ["x equals 2", "y exists true"]}]}
        assert [holds(either, each) for each in ({"x": 1}, {"x": 2}, {"x": 2, "y": 0})] == [True, False, True]
        assert holds({"no": ["x equals 1", "y equals 1"]}, {"x": 1})

    def test_a_childs_name_is_without_its_parents(self) -> None:
        assert holds("name equals web", {"name": "app/web"})

    def test_a_condition_with_a_name(self) -> None:
        assert condition(["as closed"], {"closed": ["x equals Disabled"]})({"x": "Disabled"})


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers())
def test_what_is_written_is_read(names: list[str], value: int) -> None:
    resource: Json = {"a": "a value that is in the way"}
    write(resource, ".".join(names), value)
    assert read(resource, ".".join(names).upper()) == value


class TestEffects:
    SITE: Json = {"type": "Microsoft.Web/sites", "name": "app", "id": "app"}  # noqa: RUF012

    def test_what_modify_writes_deny_finds_written(self) -> None:
        deny = policy("deny", ["httpsOnly notEquals true"])
        for effect in ("append", "modify"):
            outcome = evaluate(
                [self.SITE], [deny, policy(effect, ["httpsOnly notEquals true"], writes={"httpsOnly": True})], ["root"]
            )
            assert [found.policy.name for found in outcome.changed] == [effect]
            assert outcome.refused == ()
        assert "httpsOnly" not in self.SITE

    def test_append_is_before_modify(self) -> None:
        modify = policy("modify", ["x equals 1"], writes={"x": 2})
        append = policy("append", ["x exists false"], writes={"x": 1})
        assert [each.policy.name for each in evaluate([self.SITE], [modify, append], ["root"]).changed] == [
            "append",
            "modify",
        ]

    def test_only_what_these_scopes_assign(self) -> None:
        assert evaluate([self.SITE], [policy("deny", [])], ["corp"]).refused == ()
        assert evaluate([self.SITE], [policy("disabled", [])], ["root"]).refused == ()

    def test_a_policy_with_two_effects_is_refused_once(self) -> None:
        outcome = evaluate([self.SITE], [policy("", [], effects={"root": "audit", "corp": "deny"})], ["root", "corp"])
        assert (len(outcome.refused), outcome.audited) == (1, ())

    def test_indexed_sees_only_what_has_a_location(self) -> None:
        indexed = policy("deny", [], mode="Indexed")
        assert not indexed.fires(self.SITE)
        assert indexed.fires(self.SITE | {"location": "westeurope"})

    def test_no_policy_sees_the_app_registration(self) -> None:
        application: Json = {"type": "Microsoft.Graph/applications@v1.0", "properties": {}}
        assert evaluate([application], [policy("deny", [])], ["root"]).refused == ()

    def test_a_related_resource_satisfies(self) -> None:
        adds = policy("deployIfNotExists", [], related="child", exists=condition(["x equals 1"]))
        child: Json = {"type": "child", "name": "app/one", "id": "one", "x": 1}
        assert adds.fires(self.SITE)
        assert adds.fires(self.SITE, [child | {"x": 2}])
        assert adds.fires(self.SITE, [child | {"name": "another/one"}])
        assert not adds.fires(self.SITE, [child])
        assert len(evaluate([self.SITE], [adds], ["root"]).added) == 1


@pytest.mark.parametrize("each", policies(), ids=lambda each: each.id)
class TestEveryPolicy:
    """Each fires for its example, and does not when what it asks for is there."""

    def example(self, each: Policy) -> Json:
        resource = {"location": "westeurope", "apiVersion": "2026-01-01", "id": "example"} | each.example
        if "subnets" in resource["type"] or "blobServices" in resource["type"]:
            del resource["location"]
        return resource

    def test_fires(self, each: Policy) -> None:
        resource = self.example(each)
        (scope, effect), *_ = ((scope, effect) for scope, effect in each.effects.items() if effect != "disabled")
        outcome = evaluate([resource], [each], [scope])
        found = {
            "deny": outcome.refused,
            "audit": outcome.audited,
            "append": outcome.changed,
            "modify": outcome.changed,
            "deployIfNotExists": outcome.added,
        }[effect]
        assert [finding.resource for finding in found] == ["example"]

    def test_can_be_satisfied(self, each: Policy) -> None:
        resource = self.example(each)
        if each.related_example is not None:
            assert not each.fires(resource, [each.related_example])
        if each.writes:
            assert not each.fires(each.changed(resource))
        for field, value in each.fixed_by.items():
            write(resource, field, value)
        assert not each.fires(resource)
