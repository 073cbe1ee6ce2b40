"""The forms of the connection's pages: shown values, sent values and faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access.model import AllowedCaller
from shared.connections.columns import Column
from shared.connections.configure import with_details, with_names
from shared.connections.fixed_fields import FixedField
from shared.connections.model import Connection, KindSettings, OutcomeNotes, OutcomePolicy, Portal, TicketKind
from shared.connections.options import Choice
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from shared.servicenow.states import ServiceNowStates
from shared.storage.rows import open_value
from shared.tickets.model import Phase
from shared.tickets.policies import not_done_codes
from shared.triggers.configuration_pages import (
    CodeBox,
    code_boxes,
    code_names,
    fixed_form_rows,
    offered_columns,
    sent_values,
    state_rows,
    with_present,
)
from shared.triggers.connection_forms import (
    account_body,
    account_values,
    configuration_body,
    configuration_values,
    connection_body,
    connection_faults,
)
from shared.words.language import languages

GROUP = "0123456789abcdef" * 2
CONNECTION = Connection(
    connection_id="contoso",
    display_name="Contoso",
    instance="https://contoso.service-now.com",
    client_id="client",
    integration_user="m365.integration",
    portals=(Portal.COMPLIANCE,),
    kinds={
        TicketKind.INCIDENT: KindSettings(True, GROUP, "network", {"1": "Just in", "-10": "Parked"}, GROUP[::-1]),
        TicketKind.CHANGE: KindSettings(enabled=False),
    },
    time_zone="Asia/Tokyo",
    consent_lifetime_s=7_776_000,
)
ENGLISH = languages()["en"]


def saved(body: dict[str, object], connection: Connection = CONNECTION) -> Connection:
    request = read_connection_request(body)
    return with_details(connection, request, request.instance)


def faults(body: dict[str, object]) -> dict[str, str]:
    with pytest.raises(FixRequest) as refused:
        read_connection_request(body)
    return connection_faults(ENGLISH, refused.value)


def test_saving_what_is_shown_changes_nothing() -> None:
    assert saved(connection_body(CONNECTION)) == CONNECTION
    assert saved(configuration_body(configuration_values(CONNECTION), CONNECTION)) == CONNECTION


def test_the_name_of_a_record_means_the_one_that_is_stored_and_goes_with_it() -> None:
    caller = GROUP[::-1]
    connection = with_names(CONNECTION, {GROUP: "Network", caller: "Abel Tuter", "f" * 32: "Nobody"})
    assert connection.record_names == {GROUP: "Network", caller: "Abel Tuter"}
    form = configuration_values(connection) | {"incident_group": "Network", "incident_default_caller": "Abel Tuter"}
    assert saved(configuration_body(form, connection), connection) == connection
    after = saved(configuration_body(form | {"incident_default_caller": ""}, connection), connection)
    assert after.record_names == {GROUP: "Network"}
    assert saved(account_body(account_values(CONNECTION), CONNECTION)) == CONNECTION


policies = st.sampled_from([*OutcomePolicy, open_value(OutcomePolicy, "next_policy")])
codes = st.text("aB 1()", min_size=1, max_size=6).map(str.strip).filter(bool)
decided = st.builds(
    KindSettings,
    not_fixed=policies,
    regressed=policies,
    not_done_codes=st.none() | st.lists(codes, max_size=4, unique_by=lambda code: code.lower().split()[0]).map(tuple),
)
notes = st.sampled_from([*OutcomeNotes, open_value(OutcomeNotes, "next_place")])


@settings(max_examples=40)
@given(decided, decided, notes)
def test_saving_what_is_shown_changes_no_policy(
    incident: KindSettings, change: KindSettings, outcome_notes: OutcomeNotes
) -> None:
    connection = replace(
        CONNECTION,
        kinds={TicketKind.INCIDENT: incident, TicketKind.CHANGE: change},
        outcome_notes=outcome_notes,
    )
    for body in (
        connection_body(connection),
        configuration_body(configuration_values(connection), connection),
        account_body(account_values(connection), connection),
    ):
        assert saved(body, connection) == connection


def test_the_group_and_the_exclusion_stay_unless_they_are_changed() -> None:
    grouped = replace(CONNECTION, customer_group="North", is_excluded=True)
    for body in (connection_body(grouped), configuration_body(configuration_values(grouped), grouped)):
        assert saved(body, grouped) == grouped
    form = configuration_values(grouped) | {"customer_group": " South ", "is_excluded": "false"}
    after = saved(configuration_body(form, grouped), grouped)
    assert (after.customer_group, after.is_excluded) == ("South", False)
    cleared = saved(configuration_body(form | {"customer_group": ""}, grouped), grouped)
    assert cleared.customer_group is None
    wrong = configuration_body(form | {"customer_group": "x" * 61}, grouped)
    assert list(faults(wrong)) == ["customer_group"]


def test_what_happens_after_a_ticket_is_closed() -> None:
    form = configuration_values(CONNECTION) | {
        "outcome_notes": "comment",
        "incident_not_fixed": "reopen",
        "incident_regressed": "new_ticket",
        "incident_codes": "own",
        "incident_code_Duplicate": "",
        "incident_code_Our own": "on",
        "change_codes": "own",
        "change_code_unsuccessful": "",
        "change_typed_codes": " rolled back \r\n\r\nnever  begun\nRolled Back",
    }
    after = saved(configuration_body(form, CONNECTION))
    incident, change = after.kinds[TicketKind.INCIDENT], after.kinds[TicketKind.CHANGE]
    assert after.outcome_notes is OutcomeNotes.COMMENT
    assert (incident.not_fixed, incident.regressed) == (OutcomePolicy.REOPEN, OutcomePolicy.NEW_TICKET)
    usual = not_done_codes(TicketKind.INCIDENT, KindSettings())
    assert incident.not_done_codes == (*(code for code in usual if code != "Duplicate"), "Our own")
    assert change.not_done_codes == ("Rolled Back", "never  begun")
    back = configuration_values(after) | {"incident_codes": "usual"}
    assert saved(configuration_body(back, after), after).kinds[TicketKind.INCIDENT].not_done_codes is None


def test_a_change_that_would_be_reopened_shows_a_new_ticket() -> None:
    kinds = {**CONNECTION.kinds, TicketKind.CHANGE: KindSettings(not_fixed=OutcomePolicy.REOPEN)}
    assert configuration_values(replace(CONNECTION, kinds=kinds))["change_not_fixed"] == "new_ticket"


def test_a_chosen_code_that_the_instance_does_not_offer_can_be_chosen_again() -> None:
    offered = [Choice("duplicate", "Duplicate"), Choice("Solution provided", "Solution provided")]
    values = configuration_values(CONNECTION)
    usual = [
        CodeBox("Duplicate", "incident_code_duplicate", True),
        CodeBox("Solution provided", "incident_code_Solution provided", False),
    ]
    assert code_boxes(offered, TicketKind.INCIDENT, values) == usual
    own = {"incident_codes": "own", "incident_code_Duplicate": "on", "incident_code_Gone": "on"}
    assert code_boxes(offered, TicketKind.INCIDENT, own) == [*usual, CodeBox("Gone", "incident_code_Gone", True)]


def test_no_form_shows_or_repeats_the_client_secret() -> None:
    assert account_values(CONNECTION)["client_secret"] == ""
    assert "client_secret" not in account_body({"client_secret": " "}, CONNECTION)
    assert account_body({"client_secret": "s3cret"}, CONNECTION)["client_secret"] == "s3cret"


def test_the_account_form_leaves_the_configuration_alone() -> None:
    form = account_values(CONNECTION) | {"integration_user": "another"}
    assert saved(account_body(form, CONNECTION)) == replace(CONNECTION, integration_user="another")


def test_a_new_connection_has_the_language_of_the_page_and_the_time_zone_of_the_form() -> None:
    form = account_values(None, "ja")
    assert (form["language"], form["time_zone"]) == ("ja", "UTC")
    entered = account_values(CONNECTION) | {"client_secret": "s3cret"}
    new = saved(account_body({**form, **entered, "time_zone": "Asia/Tokyo"}, None))
    assert (new.language, new.time_zone) == ("ja", "Asia/Tokyo")
    body = account_body({**account_values(CONNECTION), "language": "ja", "time_zone": "Europe/Rome"}, CONNECTION)
    assert saved(body) == CONNECTION, "later they are settings"


def test_a_new_connection_is_called_like_its_instance_unless_named() -> None:
    assert account_body({"instance": "contoso"}, None)["display_name"] == "contoso"
    assert (
        account_body({"instance": "https://contoso.service-now.com/"}, None)["display_name"]
        == "contoso.service-now.com"
    )
    assert account_body({"instance": "contoso", "display_name": "Main"}, None)["display_name"] == "Main"


def test_the_configuration_form() -> None:
    form = dict(configuration_values(CONNECTION))
    form |= {"portal_security": "on", "portal_compliance": "", "change_enabled": "on", "incident_enabled": ""}
    form |= {
        "incident_state_1": "",
        "change_state_-5": " Drafted ",
        "change_other_value": "77",
        "change_other_name": "Odd",
    }
    after = saved(configuration_body(form, CONNECTION))
    assert after.portals == (Portal.SECURITY,)
    assert after.kinds[TicketKind.INCIDENT] == KindSettings(False, GROUP, "network", {"-10": "Parked"}, GROUP[::-1])
    assert after.kinds[TicketKind.CHANGE] == KindSettings(True, None, None, {"-5": "Drafted", "77": "Odd"})


def test_an_empty_lifetime_is_servicenows_default() -> None:
    form = configuration_values(CONNECTION) | {"consent_lifetime_s": ""}
    assert saved(configuration_body(form, CONNECTION)).consent_lifetime_s == 8_640_000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time_zone": "Mars/Phobos"}, "time_zone"),
        ({"consent_lifetime_s": "a while"}, "consent_lifetime_s"),
        ({"consent_lifetime_s": "9" * 30}, "consent_lifetime_s"),
        ({"display_name": ""}, "display_name"),
        ({"portal_compliance": ""}, "portals"),
        ({"incident_enabled": ""}, "incident_enabled"),
        ({"change_group": "Service Desk"}, "change_group"),
        ({"change_category": "x" * 41}, "change_category"),
        ({"incident_state_1": "x" * 61}, "incident_states"),
        ({"incident_other_value": "a b", "incident_other_name": "Odd"}, "incident_states"),
        ({"incident_codes": "own", "incident_typed_codes": "x" * 61}, "incident_codes"),
        ({"change_codes": "own", "change_typed_codes": "\n".join(map(str, range(21)))}, "change_codes"),
    ],
)
def test_each_fault_is_at_its_field(change: dict[str, str], field: str) -> None:
    found = faults(configuration_body({**configuration_values(CONNECTION), **change}, CONNECTION))
    assert list(found) == [field]
    assert found[field] in ENGLISH.texts.values(), "in the person's language"


@pytest.mark.parametrize("field", ["instance", "client_id", "integration_user"])
def test_each_fault_of_the_account_is_at_its_field(field: str) -> None:
    found = faults(account_body({**account_values(CONNECTION), "display_name": "x", field: ""}, CONNECTION))
    assert list(found) == [field]
    assert found[field] in ENGLISH.texts.values()


def test_faults_without_a_place() -> None:
    assert connection_faults(ENGLISH, FixRequest("instance_not_allowed")) == {
        "instance": ENGLISH("error.instance_not_allowed.message")
    }
    assert connection_faults(ENGLISH, FixRequest("connection_not_found")) == {
        "": ENGLISH("error.connection_not_found.message")
    }


def test_states_are_the_instances_or_the_usual_ones_and_all_that_have_a_name() -> None:
    usual = state_rows(ServiceNowStates(), TicketKind.INCIDENT, None, {"-10": "Parked"})
    assert [row.value for row in usual] == ["1", "2", "3", "6", "7", "8", "-10"]
    assert (usual[0].label, usual[0].phase, usual[0].field) == ("New", Phase.NEW, "incident_state_1")
    assert usual[-1].phase is Phase.UNMAPPED
    offered = state_rows(ServiceNowStates(), TicketKind.CHANGE, [Choice("-5", "Entwurf")], {})
    assert [(row.value, row.label) for row in offered] == [("-5", "Entwurf")]


def test_a_further_state_joins_the_others_when_the_form_is_shown_again() -> None:
    values = sent_values({"incident_other_value": "77", "incident_other_name": "Odd"}, CONNECTION)
    assert values["incident_state_77"] == "Odd"
    assert values["incident_other_value"] == ""
    assert values["incident_state_1"] == ""


def test_the_present_choice_is_offered_although_the_instance_does_not() -> None:
    assert with_present([Choice("a", "A")], "a") == [("a", "A")]
    assert with_present([Choice("a", "A")], "b") == [("b", "b"), ("a", "A")]
    assert with_present([Choice("a", "A")], "") == [("a", "A")]


def test_the_account_form_says_whether_a_changed_address_is_the_same_instance() -> None:
    moved = account_values(CONNECTION) | {"instance": "contoso-new"}
    assert account_body(moved, CONNECTION)["same_instance"] is False
    assert account_body(moved | {"same_instance": "on"}, CONNECTION)["same_instance"] is True
    assert "same_instance" not in account_body(moved, None)
    claimed = replace(CONNECTION, renamed_from="https://contoso-old.service-now.com")
    assert account_values(claimed)["same_instance"] == "on"
    assert "same_instance" not in connection_body(claimed), "the configuration page leaves it as it is"


FIXED = replace(
    CONNECTION,
    shares_requester=False,
    kinds={
        **CONNECTION.kinds,
        TicketKind.CHANGE: KindSettings(
            fixed_fields=(FixedField("risk", "3", "Moderate"), FixedField("u_text", "two\nlines"))
        ),
    },
)


def change_fields(form: dict[str, str]) -> object:
    kinds: Any = configuration_body(form, FIXED)["kinds"]
    return kinds["change"]["fixed_fields"]


def test_fixed_fields_show_what_people_call_their_values() -> None:
    values = configuration_values(FIXED)
    assert (values["change_fixed_0_column"], values["change_fixed_0_value"]) == ("risk", "Moderate")
    assert values["shares_requester"] == "false"
    assert saved(configuration_body({**values, "shares_requester": "true"}, FIXED), FIXED).shares_requester


def test_a_row_is_removed_by_its_box_or_by_emptying_it() -> None:
    form = {**configuration_values(FIXED), "change_fixed_0_remove": "on", "change_fixed_4_column": "type"}
    form |= {"change_fixed_4_value": "normal", "change_fixed_1_column": "", "change_fixed_1_value": " "}
    assert change_fields(form) == [{"column": "type", "value": "normal"}]
    shown = sent_values(form, FIXED)
    rows = fixed_form_rows(shown, TicketKind.CHANGE, None)
    assert [(row.number, row.column) for row in rows] == [(0, "type"), (1, ""), (2, ""), (3, "")]
    assert change_fields({**form, "change_fixed_4_remove": "on"}) == []


def test_a_form_that_does_not_show_fixed_fields_leaves_them() -> None:
    form = {name: value for name, value in configuration_values(FIXED).items() if "_fixed_" not in name}
    kept = saved(configuration_body(form, FIXED), FIXED)
    assert kept.kinds[TicketKind.CHANGE].fixed_fields == FIXED.kinds[TicketKind.CHANGE].fixed_fields


def test_a_fault_of_a_fixed_field_is_shown_in_its_row() -> None:
    form = {**configuration_values(CONNECTION), "incident_fixed_0_column": "caller_id", "incident_fixed_0_value": "x"}
    form |= {"incident_fixed_2_value": "without a column"}
    found = faults(configuration_body(form, CONNECTION))
    assert found.keys() == {"incident_fixed_1_column"}, "empty rows are left out, so it is the second"
    form |= {"incident_fixed_2_column": "u_x"}
    assert "Default caller" in faults(configuration_body(form, CONNECTION))["incident_fixed_0_column"]


def test_usual_columns_are_offered_first_and_reserved_ones_never() -> None:
    columns = {
        name: Column(name, label, read_only=read_only)
        for name, label, read_only in (
            ("u_zone", "Zone", False),
            ("u_area", "area", None),
            ("opened_at", "Opened", True),
            ("description", "Description", False),
            ("contact_type", "Channel", False),
        )
    }
    offered = [each.value for each in offered_columns(TicketKind.INCIDENT, columns)]
    assert offered == ["contact_type", "u_area", "u_zone"]
    assert [each.value for each in offered_columns(TicketKind.CHANGE, None)][:2] == ["cmdb_ci", "business_service"]


def test_a_language_of_another_release_stays_until_somebody_chooses_one() -> None:
    connection = replace(CONNECTION, language="eo")
    values = configuration_values(connection)
    assert saved(configuration_body(values, connection), connection).language == "eo"
    assert saved(configuration_body({**values, "language": "ja"}, connection), connection).language == "ja"


def test_close_codes_have_the_instances_names() -> None:
    offered = [Choice("unsuccessful", "Unsuccessful"), Choice("successful", "Successful")]
    assert code_names(["unsuccessful", "Not Solved"], offered) == ["Unsuccessful", "Not Solved"]


def test_who_may_see_a_connection_is_sent_only_if_it_was_changed() -> None:
    group, program = "0b1e6d3c-6a53-4f7e-9a7e-00000000b001", "0b1e6d3c-6a53-4f7e-9a7e-00000000b002"
    shown = configuration_values(CONNECTION, (AllowedCaller(group, "Operations, day"), AllowedCaller(program)))
    assert shown["limited_to"] == f"{group} Operations, day\n{program}"
    for untouched in ({}, {"limited_to": shown["limited_to"].replace("\n", "\r\n") + "\r\n"}):
        assert "limited_to" not in configuration_body(shown | untouched, CONNECTION)
    assert configuration_body(shown | {"limited_to": " "}, CONNECTION)["limited_to"] == []
    changed = configuration_body(shown | {"limited_to": f"  {program.upper()},  A program \n\n"}, CONNECTION)
    wanted = read_connection_request(changed).limited_to
    assert wanted is not None
    assert [each.caller for each in wanted] == [AllowedCaller(program, "A program")]
    old_page = {name: value for name, value in shown.items() if not name.startswith("limited_to")}
    assert "limited_to" not in configuration_body(old_page, CONNECTION)


@pytest.mark.parametrize(
    "text",
    ["Operations", "0b1e6d3c-6a53-4f7e-9a7e-00000000b00", "0b1e6d3c-6a53-4f7e-9a7e-00000000b001 " + "x" * 101],
)
def test_what_is_no_object_id_is_said_at_its_field(text: str) -> None:
    form = configuration_values(CONNECTION) | {"limited_to": text}
    assert "object ID on each line" in faults(configuration_body(form, CONNECTION))["limited_to"]


def test_whoever_would_lock_themselves_out_reads_it_at_the_field() -> None:
    assert list(connection_faults(ENGLISH, FixRequest("would_lock_you_out", status=422))) == ["limited_to"]
