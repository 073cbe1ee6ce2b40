"""The layers below the APIs: clock, properties, storage in bulk."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import sandbox.servicenow
from sandbox.clock import Clock
from sandbox.servicenow.engine.data.records import DuplicateSysIdError
from sandbox.servicenow.engine.glide_time import from_glide, to_glide
from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.engine.properties import Properties, UnknownPropertyError
from sandbox.servicenow.stage.bulk import change_state, insert_tickets
from sandbox.servicenow.stage.seed.essentials import plant_essentials
from sandbox.servicenow.stage.seed.people import grant_role, revoke_role, user_sys_id

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[Instance]:
    instance = Instance(clock=Clock.stopped_at(AT))
    yield instance
    instance.close()


class TestClock:
    """Time that tests move."""

    def test_it_runs_until_it_is_stopped(self) -> None:
        clock = Clock()
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
        clock.advance(3600)
        assert timedelta(minutes=59) < clock.now() - datetime.now(UTC) < timedelta(minutes=61)
        clock.set(AT)
        clock.stop()
        stopped = clock.now()
        clock.advance(1.5)
        assert clock.now() == stopped + timedelta(seconds=1.5)
        clock.run()
        assert abs(clock.now() - stopped) < timedelta(seconds=30)
        clock.reset()
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)

    def test_it_wants_to_know_the_zone(self) -> None:
        with pytest.raises(ValueError, match="aware"):
            Clock().set(datetime(2026, 1, 1))  # noqa: DTZ001

    def test_stored_times_have_whole_seconds(self) -> None:
        assert to_glide(AT.replace(microsecond=999_999)) == "2026-03-02 09:00:00"
        assert from_glide("2026-03-02 09:00:00") == AT


class TestProperties:
    """Switches."""

    def test_values_are_checked(self) -> None:
        properties = Properties()
        properties["simulator.duplicate_sys_id"] = "replaced"
        properties["glide.ui.autoclose.time"] = 3
        properties["glide.invalid_query.returns_no_rows"] = True
        assert properties.number("glide.ui.autoclose.time") == 3
        assert properties.flag("glide.invalid_query.returns_no_rows")
        for name, value in (
            ("simulator.duplicate_sys_id", "sometimes"),
            ("glide.ui.autoclose.time", "soon"),
            ("glide.invalid_query.returns_no_rows", "yes"),
        ):
            with pytest.raises(ValueError, match=name):
                properties[name] = value
        with pytest.raises(UnknownPropertyError):
            properties["simulator.no_such_switch"] = "x"
        properties["glide.something.else"] = "x"
        properties.reset()
        assert properties["simulator.duplicate_sys_id"] == "refused"
        assert "glide.something.else" not in properties

    def test_every_switch_switches_something(self) -> None:
        sources = Path(sandbox.servicenow.__file__).parent.rglob("*.py")
        code = "".join(path.read_text() for path in sources if path.name != "properties.py")
        assert [name for name in Properties().definitions if f'"{name}"' not in code] == []


class TestRecords:
    """Storage."""

    def test_a_transaction_happens_whole_or_not_at_all(self, instance: Instance) -> None:
        records = instance.records

        def insert_and_fail(depth: int) -> None:
            with records.transaction():
                records.insert("incident", {})
                if depth:
                    insert_and_fail(depth - 1)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            insert_and_fail(1)
        assert records.count("incident") == 0
        with records.transaction():
            records.insert("incident", {})
            with pytest.raises(RuntimeError):
                insert_and_fail(0)
        assert records.count("incident") == 1

    def test_ids_are_unique(self, instance: Instance) -> None:
        instance.records.insert("incident", {"sys_id": "a"})
        with pytest.raises(DuplicateSysIdError):
            instance.records.insert("problem", {"sys_id": "a"})

    def test_it_survives_in_a_file(self, tmp_path: Path) -> None:
        first = Instance(database=str(tmp_path / "instance.db"))
        number = first.records.insert("incident", {})["number"]
        first.close()
        second = Instance(database=str(tmp_path / "instance.db"))
        assert [row["number"] for row in second.records.query("incident")] == [number]
        assert second.records.take_number("incident") == "INC0010002"
        second.close()

    def test_many_tickets_at_once_share_a_second_and_look_like_others(self, instance: Instance) -> None:
        tickets = [(f"{number:032x}", f"m365:{number:032x}") for number in range(1000)]
        assert insert_tickets(instance, "incident", tickets, values={"impact": "1"}) == 1000
        rows = instance.records.query("incident", "ORDERBYnumber")
        assert {row["sys_updated_on"] for row in rows} == {to_glide(AT)}
        assert len({row["number"] for row in rows}) == 1000
        assert (rows[0]["priority"], rows[0]["state"], rows[0]["sys_created_by"]) == ("3", "1", "m365.connector")
        assert rows[0].keys() == instance.records.insert("incident", {}).keys()
        instance.clock.advance(60)
        assert change_state(instance, "incident", "correlation_idSTARTSWITHm365:^number<INC0010501", "7") == 500
        closed = instance.records.query("incident", "state=7")
        assert {(row["incident_state"], row["active"], row["sys_mod_count"]) for row in closed} == {("7", "false", "1")}
        assert {row["sys_updated_on"] for row in closed} == {"2026-03-02 09:01:00"}

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            ("sys_idINa,b,c", "autoindex"),
            ("correlation_id=m365:1", "task_correlation_id"),
            ("correlation_idINm365:1,m365:2", "task_correlation_id"),
            ("correlation_idSTARTSWITHm365:^numberISNOTEMPTY", "task_correlation_id"),
            (
                "correlation_idSTARTSWITHm365:^correlation_id>m365:1^ORDERBYcorrelation_id",
                "task_correlation_id",
            ),
            (
                "correlation_idSTARTSWITHm365:^sys_updated_on>=2026-01-01 00:00:00^ORDERBYsys_updated_on^ORDERBYsys_id",
                "task_sys_updated_on",
            ),
            (
                "correlation_idSTARTSWITHm365:^sys_updated_on=2026-01-01 00:00:00^sys_id>a"
                "^NQcorrelation_idSTARTSWITHm365:^sys_updated_on>2026-01-01 00:00:00"
                "^ORDERBYsys_updated_on^ORDERBYsys_id",
                "task_sys_updated_on",
            ),
            ("number=INC0010001", "task_number"),
        ],
    )
    @pytest.mark.parametrize("table", ["task", "incident"])
    @pytest.mark.parametrize("text_comparison", ["case_insensitive", "case_sensitive"])
    def test_an_index_serves_what_a_connector_asks(
        self, instance: Instance, text_comparison: str, table: str, query: str, index: str
    ) -> None:
        instance.properties["simulator.query.text_comparison"] = text_comparison
        compiled = instance.records.compile(table, query)
        order = f" ORDER BY {compiled.order_by}" if compiled.order_by else ""
        plan = instance.records.execute(
            f'EXPLAIN QUERY PLAN SELECT t."number" FROM "task" AS t WHERE {compiled.where}{order} LIMIT 10',
            compiled.parameters,
        )
        steps = [step[3] for step in plan]
        assert len(steps) == 1, steps
        assert "SEARCH" in steps[0]
        assert index in steps[0]


def test_roles_come_and_go(instance: Instance) -> None:
    plant_essentials(instance)
    adele = user_sys_id("adele.vance")
    grant_role(instance, adele, "itil")
    caller = instance.caller("adele.vance")
    assert caller is not None
    assert caller.roles == {"itil"}
    revoke_role(instance, adele, "itil")
    assert instance.caller_of(adele) != caller
