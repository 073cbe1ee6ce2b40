"""Alerts and the workbook: their queries and thresholds, and that the code logs what they read."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

from release.bicep import TEMPLATES
from shared.tickets.deliver import DeliveryCounts
from shared.tickets.sync import SyncCounts
from tests.infra.availability import unavailable
from tests.infra.compiler import REPOSITORY
from tests.infra.expansion import Expansion
from tests.infra.snapshots import Json

QUERIES: Final = {
    path.relative_to(TEMPLATES / "queries").as_posix(): path.read_text() for path in TEMPLATES.rglob("queries/**/*.kql")
}
MODULES: Final = REPOSITORY / ".sandbox" / "node_modules"
FREQUENCIES: Final = {"PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "P1D": 1440}
"""Minutes of each duration in use; Azure accepts only a few for a query rule."""

# Name: severity, column, aggregation, operator, threshold, frequency, window, one alert for each of these.
RULES: Final = {
    "consent-ending": (2, "days_left", "Minimum", "LessThan", 14, "PT1H", "PT6H", "connection_id"),
    "authorization-required": (1, "runs", "Total", "GreaterThan", 0, "PT5M", "PT15M", "connection_id"),
    "connection-unavailable": (2, "answering", "Total", "LessThan", 1, "PT5M", "PT30M", "connection_id"),
    "deliveries-failing": (2, "failures", "Total", "GreaterThan", 0, "PT5M", "PT15M", "connection_id"),
    "deliveries-waiting": (2, "age_s", "Maximum", "GreaterThan", 1800, "PT5M", "PT30M", "connection_id"),
    "sync-lag": (3, "lag_s", "Maximum", "GreaterThan", 900, "PT15M", "PT30M", "connection_id"),
    "maintenance-stopped": (1, "runs", "Total", "LessThan", 1, "PT5M", "PT15M", ""),
    "connection-not-served": (2, "connections", "Total", "GreaterThan", 0, "PT5M", "PT15M", ""),
    "messages-poisoned": (2, "messages", "Total", "GreaterThan", 0, "PT5M", "PT15M", ""),
    "tenant-not-read": (2, "unread_s", "Maximum", "GreaterThan", 172_800, "PT1H", "PT6H", "tenant_id"),
    "server-errors": (2, "errors", "Total", "GreaterThan", 0, "PT5M", "PT15M", ""),
    "throttled": (3, "answers", "Total", "GreaterThan", 10, "PT15M", "PT1H", "connection_id"),
    "token-requests-failing": (2, "failures", "Total", "GreaterThan", 2, "PT5M", "PT30M", "connection_id"),
}
ESSENTIAL: Final = {
    "consent-ending",
    "authorization-required",
    "deliveries-failing",
    "deliveries-waiting",
    "sync-lag",
    "maintenance-stopped",
    "connection-not-served",
    "messages-poisoned",
}
"""Rules about tickets that no longer get through to ServiceNow, or changes that no longer come from it."""
LASTING: Final = {"messages-poisoned"}
"""Rules whose alerts a person ends: what they are about stays, and is not logged again."""


def compile_queries(queries: dict[str, str]) -> dict[str, Json]:
    """Compile queries with Microsoft's language service; without it the test is skipped, or fails in CI."""
    node = shutil.which("node")
    if node is None or not (MODULES / "@kusto" / "language-service-next").is_dir():
        unavailable("no Kusto language service: run make setup")
    outcome = subprocess.run(
        [node, str(Path(__file__).parent / "check-queries.cjs")],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
    compiled: dict[str, Json] = json.loads(outcome.stdout)
    return compiled


@pytest.fixture(scope="module")
def compiled() -> dict[str, Json]:
    """Every query, compiled."""
    return compile_queries(QUERIES)


class TestQueries:
    def test_compile_without_diagnostics(self, compiled: dict[str, Json]) -> None:
        assert len(compiled) == 26
        assert {name: each["diagnostics"] for name, each in compiled.items() if each["diagnostics"]} == {}

    def test_a_mistake_is_a_diagnostic(self) -> None:
        mistakes = {
            "operator": "traces | wher message == ''",
            "column": "traces | where mesage == ''",
            "table": "trace | take 1",
            "function": "traces | extend entry = parse_jsn(message)",
        }
        found = compile_queries(mistakes)
        assert {name for name, each in found.items() if each["diagnostics"]} == set(mistakes)

    def test_each_is_used_once(self) -> None:
        loaded = [
            name
            for module in TEMPLATES.glob("modules/*.bicep")
            for name in re.findall(r"queries/([\w/.-]+)'", module.read_text())
        ]
        assert sorted(loaded) == sorted(QUERIES)

    def test_alert_measures_are_numbers_in_the_result(self, compiled: dict[str, Json]) -> None:
        for name, (_, measure, *_, dimension) in RULES.items():
            columns = compiled[f"alerts/{name}.kql"]["columns"]
            assert columns[measure] in ("long", "real"), name
            assert [each for each in ("connection_id", "tenant_id") if columns.get(each) == "string"] == (
                [dimension] if dimension else []
            ), name

    def test_charts_over_time_have_a_time(self, compiled: dict[str, Json]) -> None:
        for name in (name for name in QUERIES if "bin(timestamp" in QUERIES[name]):
            assert compiled[name]["columns"]["timestamp"] == "datetime", name


class TestAlerts:
    def rules(self, mode: Expansion) -> dict[str, Json]:
        prefix = f"contoso-{mode.suffix}-"
        found = mode.all("Microsoft.Insights/scheduledQueryRules")
        return {each["name"].removeprefix(prefix): each["properties"] for each in found}

    def test_every_rule(self, deployed: Expansion) -> None:
        given = {}
        for name, rule in self.rules(deployed).items():
            (condition,) = rule["criteria"]["allOf"]
            given[name] = (
                rule["severity"],
                condition["metricMeasureColumn"],
                condition["timeAggregation"],
                condition["operator"],
                condition["threshold"],
                rule["evaluationFrequency"],
                rule["windowSize"],
                *[each["name"] for each in condition["dimensions"] or [{"name": ""}]],
            )
            assert condition["query"] == QUERIES[f"alerts/{name}.kql"]
            assert condition["failingPeriods"] == {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}
        assert given == RULES

    def test_every_rule_says_what_operators_should_do(self) -> None:
        page = (REPOSITORY / "docs" / "operations.md").read_text()
        for name in RULES:
            assert f"\n### {name}\n" in page

    def test_every_rule_is_on_and_ends_by_itself_if_its_cause_can_end(self, deployed: Expansion) -> None:
        component = deployed.one("Microsoft.Insights/components")["id"]
        for name, rule in self.rules(deployed).items():
            assert rule["enabled"] is True
            assert rule["autoMitigate"] is (name not in LASTING)
            # Without an end, each look at the same line would send another e-mail.
            assert rule["muteActionsDuration"] == (rule["windowSize"] if name in LASTING else None)
            assert rule["scopes"] == [component]
            assert rule["displayName"] == name
            assert rule["description"].endswith(".")

    def test_each_connection_and_tenant_raises_its_own_alert(self, deployed: Expansion) -> None:
        for rule in self.rules(deployed).values():
            for dimension in rule["criteria"]["allOf"][0]["dimensions"]:
                assert dimension == {"name": dimension["name"], "operator": "Include", "values": ["*"]}

    def test_no_rule_misses_what_happens_between_two_looks(self, deployed: Expansion) -> None:
        for rule in self.rules(deployed).values():
            assert FREQUENCIES[rule["evaluationFrequency"]] <= FREQUENCIES[rule["windowSize"]]

    def test_parameters_set_the_thresholds(self, every_choice: Expansion) -> None:
        thresholds = {
            name: rule["criteria"]["allOf"][0]["threshold"] for name, rule in self.rules(every_choice).items()
        }
        assert thresholds["consent-ending"] == 30
        assert thresholds["deliveries-waiting"] == 7200
        # Four times the synchronisation interval of that deployment.
        assert thresholds["sync-lag"] == 2400

    def test_a_deployment_can_do_with_what_is_essential(self, every_choice: Expansion) -> None:
        assert self.rules(every_choice).keys() == ESSENTIAL

    def test_a_deployment_can_do_without_alerts(self, existing_resources: Expansion) -> None:
        assert self.rules(existing_resources) == {}
        assert existing_resources.all("Microsoft.Insights/actionGroups") == []

    def test_mail_goes_to_every_address(self, fixed_egress: Expansion) -> None:
        group = fixed_egress.one("Microsoft.Insights/actionGroups")
        receivers = group["properties"]["emailReceivers"]
        addresses = ["operations@contoso.com", "security@contoso.com"]
        assert [each["emailAddress"] for each in receivers] == addresses
        # Azure allows at most twelve characters.
        assert len(group["properties"]["groupShortName"]) <= 12
        for rule in self.rules(fixed_egress).values():
            assert rule["actions"]["actionGroups"] == [group["id"]]

    def test_without_an_address_rules_stand_alone(self, private: Expansion) -> None:
        assert private.all("Microsoft.Insights/actionGroups") == []
        for rule in self.rules(private).values():
            assert rule["actions"]["actionGroups"] == []


class TestWorkbook:
    def test_shows_every_figure_over_the_chosen_time(self, deployed: Expansion) -> None:
        workbook = deployed.one("Microsoft.Insights/workbooks")["properties"]
        component = deployed.one("Microsoft.Insights/components")["id"]
        assert workbook["sourceId"] == component
        parameters, *charts = workbook_content(workbook)["items"]
        (time_range,) = parameters["content"]["parameters"]
        assert time_range["name"] == "TimeRange"
        queries = {chart["content"]["query"] for chart in charts}
        assert queries == {query for name, query in QUERIES.items() if name.startswith("workbook/")}
        for chart in charts:
            assert chart["content"]["timeContextFromParameter"] == "TimeRange"
            assert chart["content"]["visualization"] in ("table", "timechart")
            assert chart["content"]["title"]
        assert len({chart["name"] for chart in charts}) == len(charts)


def events_of(query: str) -> set[str]:
    """Return the event names in a query."""
    conditions = [line for line in query.splitlines() if re.match(r"\| where (tostring\(entry\.event\)|event) ", line)]
    return {event for line in conditions for event in re.findall(r'"(\w+)"', line.partition(" and ")[0])}


def workbook_content(workbook: Json) -> Json:
    """Read the workbook's document."""
    content: Json = json.loads(workbook["serializedData"])
    return content


class TestCode:
    """The queries read what the code logs."""

    def test_every_event_and_field_is_logged(self) -> None:
        logged = logged_events()
        missing = {
            (name, event, field)
            for name, query in QUERIES.items()
            for event in events_of(query)
            for field in set(re.findall(r"entry\.(\w+)", query)) - {"event"}
            if event not in logged or field not in logged[event]
        }
        assert missing == set()

    def test_statuses_are_those_of_the_code(self) -> None:
        model = (REPOSITORY / "shared" / "connections" / "model.py").read_text()
        named = {status for query in QUERIES.values() for status in re.findall(r'status\)? [=!]= "(\w+)"', query)}
        assert named == {"connected", "reauthorization_required", "unavailable"}
        for status in named:
            assert f'"{status}"' in model

    def test_the_timer_has_the_name_that_the_alert_looks_for(self) -> None:
        assert "def maintain(" in (REPOSITORY / "shared" / "triggers" / "maintain_timer.py").read_text()
        assert 'name =~ "maintain"' in QUERIES["alerts/maintenance-stopped.kql"]

    def test_no_log_line_is_sampled_away(self) -> None:
        """A dropped line would be a missing alert."""
        sampling = json.loads((REPOSITORY / "host.json").read_text())["logging"]["applicationInsights"][
            "samplingSettings"
        ]
        assert not sampling["isEnabled"] or {"Trace", "Request"} <= set(sampling["excludedTypes"].split(";"))


COUNTS: Final = {"sync_": SyncCounts, "delivery_": DeliveryCounts}
"""Dataclasses whose fields are logged one by one, with a prefix."""


def logged_events() -> dict[str, set[str]]:
    """Return the fields that the code can log with each event: those of the call, and those of its context."""
    calls: dict[str, list[tuple[ast.Module, ast.Call]]] = defaultdict(list)
    for path in (REPOSITORY / "shared").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                calls[node.func.id].append((tree, node))
    context = {keyword.arg for _, call in calls["log_context"] for keyword in call.keywords if keyword.arg}
    events: dict[str, set[str]] = defaultdict(set)
    for tree, call in calls["log_event"] + calls["log_bug"]:
        event = call.args[0]
        # A name that is chosen at run time is one of the texts in its module.
        names = [event] if isinstance(event, ast.Constant) else ast.walk(tree)
        for node in names:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                events[node.value] |= logged_fields(call) | context
    return events


def logged_fields(call: ast.Call) -> set[str]:
    """Return the fields that a call logs."""
    fields = {keyword.arg for keyword in call.keywords if keyword.arg}
    unpacked = [node for keyword in call.keywords if not keyword.arg for node in ast.walk(keyword.value)]
    texts = {node.value for node in unpacked if isinstance(node, ast.Constant)}
    counted = {prefix: counts for prefix, counts in COUNTS.items() if prefix in texts}
    return fields | {
        f"{prefix}{each.name}" for prefix, counts in counted.items() for each in dataclasses.fields(counts)
    }
