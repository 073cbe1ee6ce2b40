"""Conditions of an instance, before the record exists."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.clock import Clock
from sandbox.servicenow.engine.data.dictionary import Dictionary
from sandbox.servicenow.engine.data.records import Records
from sandbox.servicenow.engine.data.tables import TABLES
from shared.servicenow.conditions import truth

SENT = {"urgency": "3", "category": "network", "short_description": "Turn on MFA"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", True),
        ("^EQ", True),
        ("urgency=3^EQ", True),
        ("urgency=1", False),
        ("urgency!=1", True),
        ("urgencyIN1,3", True),
        ("urgencyNOT IN1,3", False),
        ("categoryISEMPTY", False),
        ("categoryISNOTEMPTY", True),
        ("short_descriptionLIKEMFA", True),
        ("short_descriptionNOT LIKEMFA", False),
        ("short_descriptionSTARTSWITHTurn", True),
        ("short_descriptionENDSWITHMFA", True),
        ("categoryANYTHING", True),
        ("short_descriptionLIKEmfa", None),
        ("cmdb_ciISEMPTY", None),
        ("urgency=3^cmdb_ciISEMPTY", None),
        ("urgency=1^cmdb_ciISEMPTY", False),
        ("urgency=1^ORurgency=3", True),
        ("urgency=1^ORcmdb_ciISEMPTY", None),
        ("cmdb_ciISEMPTY^ORurgency=3^category=network", True),
        ("urgency=1^NQcategory=network", True),
        ("urgency=1^NQcmdb_ciISEMPTY", None),
        ("urgency>2", None),
        ("caller_id.vip=true", None),
        ("urgency=javascript:gs.getUserID()", None),
        ("urgency=3^ORDERBYnumber", True),
    ],
)
def test_truth(condition: str, expected: bool | None) -> None:
    assert truth(condition, SENT) is expected


terms = st.builds(
    lambda field, operator, value: f"{field}{operator}{value}",
    st.sampled_from(["urgency", "impact", "category", "short_description"]),
    st.sampled_from(["=", "!=", "IN", "NOT IN", "ISEMPTY", "ISNOTEMPTY"]),
    st.sampled_from(["1", "3", "network", "1,3"]),
)
conditions = st.lists(st.tuples(st.sampled_from(["^", "^OR", "^NQ"]), terms), min_size=1, max_size=4).map(
    lambda pairs: (
        "".join(f"{join}{term}" for join, term in pairs).removeprefix("^").removeprefix("OR").removeprefix("NQ")
    )
)


@given(conditions)
def test_what_is_said_comes_true(condition: str) -> None:
    """Whatever the instance fills in, an answer that is not open is what the instance finds."""
    for impact in ("1", "3"):
        row = {**SENT, "impact": impact}
        said = truth(condition, SENT)
        assert said is None or said is RECORDS.matches("incident", _id(impact), condition), (condition, row)


RECORDS = Records(Dictionary(TABLES), Clock())


def _id(impact: str) -> str:
    sys_id = impact * 32
    if RECORDS.get("incident", sys_id) is None:
        RECORDS.insert("incident", {"sys_id": sys_id, "impact": impact, **SENT})
    return sys_id
