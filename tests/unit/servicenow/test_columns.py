"""What is made of an instance's description of its columns, whatever it says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections.columns import Column
from shared.connections.model import TicketKind
from shared.connections.options import Choice
from shared.servicenow.columns import MOST_CHOICES_OF_COLUMN, MOST_COLUMNS
from tests.unit.servicenow.support import CONNECTION, error_reply, instance, json_reply

INCIDENT = TicketKind.INCIDENT
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
cells = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("label", "type", "mandatory", "read_only", "max_length", "reference", "choices"), json_values
    ),
)
CLOSED = error_reply(403, "User Not Authorized", "User is unauthorized to access table: sys_dictionary")


async def test_numbers_and_flags_may_be_texts() -> None:
    described = {
        "columns": {
            "category": {
                "label": "Cate\u202egory",
                "type": "choice",
                "mandatory": "true",
                "read_only": "false",
                "max_length": "40",
                "reference": "",
                "choices": [{"label": "-- None --", "value": ""}, {"label": "", "value": 3}, {"value": None}, "x"],
            }
        }
    }
    asked = instance(json_reply({"result": described}))
    assert await asked.client().columns.columns(CONNECTION, INCIDENT) == {
        "category": Column(
            "category",
            "Category",
            "choice",
            mandatory=True,
            read_only=False,
            max_length=40,
            choices=[Choice("3", "3")],
        )
    }
    assert len(asked.requests) == 1


@given(result=json_values | st.fixed_dictionaries({"columns": st.dictionaries(st.sampled_from("ab"), cells)}))
@settings(max_examples=30)
async def test_whatever_the_answer_is(result: object) -> None:
    columns = await instance(json_reply({"result": result}), CLOSED).client().columns.columns(CONNECTION, INCIDENT)
    for name, column in (columns or {}).items():
        assert column.name == name
        assert isinstance(column.label, str)
        assert column.mandatory in {None, True, False}
        assert column.max_length is None or column.max_length > 0


async def test_more_than_anybody_needs_is_not_kept() -> None:
    many = [{"label": str(number), "value": str(number)} for number in range(MOST_CHOICES_OF_COLUMN + 1)]
    asked = instance(json_reply({"result": {"columns": {"category": {"choices": many}, "../secret": {}}}}))
    columns = await asked.client().columns.columns(CONNECTION, INCIDENT)
    assert columns == {"category": Column("category", "category")}
    too_many: dict[str, object] = {f"u_{number}": {} for number in range(MOST_COLUMNS + 1)}
    asked = instance(json_reply({"result": {"columns": too_many}}), CLOSED)
    assert await asked.client().columns.columns(CONNECTION, INCIDENT) is None
