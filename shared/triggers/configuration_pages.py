"""Pages: the configuration of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from zoneinfo import available_timezones

import azure.functions as func

from shared.application import Application
from shared.check.findings import Outcome
from shared.connections.columns import Column
from shared.connections.fixed_fields import MOST_FIXED_FIELDS, SUGGESTED_COLUMNS, reservation
from shared.connections.lookup import get_known_connection, get_present_connection, list_present_connections
from shared.connections.model import (
    Connection,
    KindSettings,
    OutcomeNotes,
    OutcomePolicy,
    Portal,
    TicketKind,
    consent_days_left,
)
from shared.connections.options import Choice, InstanceOptions
from shared.connections.remove import NOT_REVOKED
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from shared.tickets.model import Delivery, Phase
from shared.tickets.policies import not_done_codes, possible_policy, spelling
from shared.tickets.ports import StateModel, TicketFilter
from shared.triggers.addresses import authorize_path
from shared.triggers.connection_forms import (
    CODE_FIELD,
    EMPTY_ROWS,
    STATE_FIELD,
    CodeChoice,
    chosen_codes,
    configuration_body,
    configuration_values,
    connection_faults,
    fixed_rows,
    fixed_values,
)
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.named_fields import with_sys_ids
from shared.triggers.principal import MANAGERS, Role
from shared.value_object import value_object
from shared.web.checklist import PROVEN
from shared.web.findings import FindingWords, alike, finding_words

blueprint = func.Blueprint()

LONG_VALUE: Final = 100
"""Characters above which a value gets several lines."""
_REQUESTER_COLUMNS: Final = {TicketKind.INCIDENT: "caller_id", TicketKind.CHANGE: "requested_by"}
_NAMED: Final = {
    f"/kinds/{kind}/{member}": table
    for kind in TicketKind
    for member, table in (("assignment_group", "sys_user_group"), ("default_caller", "sys_user"))
}
NOTICES: Final = frozenset({"saved", "synchronised", "sync_started"})


@value_object
class FailedTickets:
    """Tickets that ServiceNow refused: how many can be sent again at once, and whether there are more."""

    count: int
    are_more: bool


@value_object
class StateRow:
    """A state whose name can be changed.

    Attributes:
        value: ServiceNow's raw value.
        label: ServiceNow's own name.
        field: Name of the form's field.
    """

    value: str
    label: str
    phase: Phase
    field: str


@value_object
class CodeBox:
    """A close code to tick.

    Attributes:
        label: ServiceNow's own name.
        field: Name of the form's field.
    """

    label: str
    field: str
    is_ticked: bool


@value_object
class KindForm:
    """The part of the form about one kind.

    Attributes:
        policies: What can happen to a closed ticket, as options of a list.
        usual_codes: Close codes that claim no fix unless an administrator chooses others.
        codes: The instance's close codes; None if they cannot be read, so that somebody has to type them.
        typed_codes: Those that are chosen, one on each line.
        requester_column: The column of the person in whose name a ticket is made.
        fixed: The fixed fields, and empty rows for more.
        columns: The columns that can have a fixed value, the usual ones first.
        columns_known: Whether the instance shows its columns.
    """

    kind: TicketKind
    states: Sequence[StateRow]
    categories: Sequence[Choice] | None
    policies: Sequence[Choice]
    usual_codes: Sequence[str]
    codes: Sequence[CodeBox] | None
    typed_codes: str
    requester_column: str
    fixed: Sequence[FixedRow]
    columns: Sequence[Choice]
    columns_known: bool


@value_object
class FixedRow:
    """A fixed field in the form.

    Attributes:
        number: Its place in the form.
        label: What the instance calls the column; empty if nobody knows.
        choices: What the instance offers; empty if it offers no list.
        is_long: Whether the value needs several lines.
    """

    number: int
    column: str
    value: str
    label: str = ""
    choices: Sequence[Choice] = ()
    is_long: bool = False


@page(blueprint, "GET", "configuration/{connection_id}/remove", roles=MANAGERS)
async def configuration_remove_form(call: Call) -> func.HttpResponse:
    """Ask whether to remove the connection, and say what is kept."""
    connection = await _present(call)
    return call.page("remove_connection.html", connection=connection)


@page(blueprint, "POST", "configuration/{connection_id}/remove", roles=MANAGERS)
async def configuration_remove(call: Call) -> func.HttpResponse:
    """Remove the connection."""
    removed = await call.application.removal.remove((await _known(call)).connection_id)
    return redirect(f"/configuration/{removed.connection_id}/removed")


@page(blueprint, "GET", "configuration/{connection_id}/removed", roles=MANAGERS)
async def configuration_removed_page(call: Call) -> func.HttpResponse:
    """Say that the connection was removed, and what could not be done."""
    connection = await _known(call)
    if not connection.is_removed:
        return redirect(f"/configuration/{connection.connection_id}")
    not_revoked = connection.last_error is not None and connection.last_error.code == NOT_REVOKED
    return call.page("connection_removed.html", connection=connection, not_revoked=not_revoked)


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/sync",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}",
)
async def configuration_sync(call: Call) -> func.HttpResponse:
    """Synchronise now."""
    connection = await _present(call)
    counts = await call.application.maintenance.work.sync_now(connection)
    done = "sync_started" if counts is None else "synchronised"
    return redirect(f"/configuration/{connection.connection_id}?done={done}")


@page(
    blueprint,
    "POST",
    "configuration/{connection_id}/check",
    roles=MANAGERS,
    belongs_to="/configuration/{connection_id}",
)
async def configuration_check(call: Call) -> func.HttpResponse:
    """Check the connection and show what was found. Nothing is stored, so this answer is the page."""
    report = await call.application.check.run(
        (await _present(call)).connection_id,
        dry_run=call.form.get("dry_run") == "true",
        requester=call.principal.requester,
    )
    findings = sorted((finding_words(each, call.language) for each in report.findings), key=_worst_first)
    counts = {outcome.value: sum(each.outcome is outcome for each in findings) for outcome in Outcome}
    return call.page(
        "check.html",
        here=f"/configuration/{report.connection.connection_id}",
        connection=report.connection,
        checked_at=report.checked_at,
        to_do=alike([each for each in findings if each.outcome is not Outcome.PASSED]),
        passed=[each for each in findings if each.outcome is Outcome.PASSED],
        counts=counts,
        needs_test_ticket=not counts[Outcome.FAILED] and any(each.reason == "dry_run_needed" for each in findings),
        left_open=report.left_open,
    )


@page(blueprint, "GET", "configuration/{connection_id}", roles=MANAGERS)
async def configuration_page(call: Call) -> func.HttpResponse:
    """Show the configuration."""
    connection = await _present(call)
    return await _form(call, connection, configuration_values(connection), {})


@page(blueprint, "POST", "configuration/{connection_id}", roles=MANAGERS)
async def configuration_save(call: Call) -> func.HttpResponse:
    """Save the configuration, or show it again as a preview."""
    connection = await _present(call)
    values = sent_values(call.form, connection)
    if call.form.get("step") == "preview":
        return await _form(call, connection, values, {})
    try:
        app = call.application
        body = await with_sys_ids(
            app, connection, "invalid_connection", configuration_body(call.form, connection), _NAMED
        )
        request = await app.named_values.resolved(connection.connection_id, read_connection_request(body))
        await app.configuration.put(connection.connection_id, request)
    except FixRequest as error:
        return await _form(call, connection, values, connection_faults(call.language, error), status=error.status)
    return redirect(f"/configuration/{connection.connection_id}?done=saved")


def state_rows(
    states: StateModel, kind: TicketKind, offered: Sequence[Choice] | None, named: Mapping[str, str]
) -> Sequence[StateRow]:
    """Return the states of a kind: the instance's, or those of a new instance, and every state with a name."""
    labels = dict(states.usual(kind)) if offered is None else {each.value: each.label for each in offered}
    labels |= {value: value for value in named if value not in labels}
    return [
        StateRow(value, label, states.phase(kind, value), STATE_FIELD.format(kind=kind, value=value))
        for value, label in labels.items()
    ]


def code_boxes(offered: Sequence[Choice], kind: TicketKind, values: Mapping[str, str]) -> Sequence[CodeBox]:
    """Return the close codes to tick: the instance's, and those that an administrator chose although it has none."""
    chosen = {spelling(code): code for code in chosen_codes(values, kind)}
    labels = {each.value: each.label for each in offered}
    if values.get(f"{kind}_codes") == CodeChoice.OWN:
        known = set(map(spelling, labels))
        labels |= {code: code for spelled, code in chosen.items() if spelled not in known}
    return [
        CodeBox(label, CODE_FIELD.format(kind=kind, value=code), spelling(code) in chosen)
        for code, label in labels.items()
    ]


def with_present(offered: Sequence[Choice], value: str) -> Sequence[tuple[str, str]]:
    """Return values and labels to choose from, including the current one even if the instance does not offer it."""
    pairs = [(each.value, each.label) for each in offered]
    return pairs if not value or any(each.value == value for each in offered) else [(value, value), *pairs]


def sent_values(form: Mapping[str, str], connection: Connection) -> Mapping[str, str]:
    """Return the fields as they were sent, to be shown again, with a further state added."""
    values = {**dict.fromkeys(configuration_values(connection), ""), **form}
    for kind in TicketKind:
        if other := values[f"{kind}_other_value"].strip():
            values[STATE_FIELD.format(kind=kind, value=other)] = values[f"{kind}_other_name"]
            values[f"{kind}_other_value"] = values[f"{kind}_other_name"] = ""
        # The rows move up, as in the request, so that a fault is shown where it belongs.
        rows = fixed_rows(values, kind)
        for name in [name for name in values if name.startswith(f"{kind}_fixed_")]:
            del values[name]
        values |= fixed_values(kind, rows)
    return values


def fixed_form_rows(
    values: Mapping[str, str], kind: TicketKind, columns: Mapping[str, Column] | None
) -> Sequence[FixedRow]:
    """Return the rows of a kind's fixed fields, and some empty ones."""
    rows = []
    for number, (column, value) in enumerate(fixed_rows(values, kind)):
        known = (columns or {}).get(column)
        rows.append(
            FixedRow(
                number,
                column,
                value,
                label="" if known is None or known.label == column else known.label,
                choices=() if known is None else known.choices or (),
                is_long="\n" in value or len(value) > LONG_VALUE,
            )
        )
    more = min(EMPTY_ROWS, MOST_FIXED_FIELDS - len(rows))
    return [*rows, *(FixedRow(len(rows) + number, "", "") for number in range(more))]


def offered_columns(kind: TicketKind, columns: Mapping[str, Column] | None) -> Sequence[Choice]:
    """Return the columns that can have a fixed value: the usual ones, then the instance's others by their names."""
    if columns is None:
        return [Choice(column, column) for column in SUGGESTED_COLUMNS[kind]]
    usual = [columns[column] for column in SUGGESTED_COLUMNS[kind] if column in columns]
    others = sorted((each for each in columns.values() if each not in usual), key=lambda each: each.label.casefold())
    return [
        Choice(each.name, each.label)
        for each in (*usual, *others)
        if not each.read_only and reservation(kind, each.name) is None
    ]


async def _form(
    call: Call,
    connection: Connection,
    values: Mapping[str, str],
    faults: Mapping[str, str],
    *,
    status: int = 200,
) -> func.HttpResponse:
    app = call.application
    options, columns = await asyncio.gather(app.options.read(connection), _columns(app, connection))
    sync_state = await app.turns.sync_state(connection)
    done = call.query.get("done")
    return call.page(
        "configuration.html",
        status=status,
        offered=with_present,
        connection=connection,
        connections=await list_present_connections(call.application.connection_store),
        values=values,
        faults=faults,
        groups=options.assignment_groups,
        kinds=_kind_forms(call, connection, options, columns, values),
        notes=[Choice(each, call.language.named("outcome_notes", each)) for each in OutcomeNotes],
        portals=tuple(Portal),
        time_zones=sorted(available_timezones()),
        last_sync_at=sync_state.last_completed_at,
        consent_days_left=consent_days_left(connection, app.clock()),
        authorize_path=authorize_path(connection.connection_id),
        in_use=connection.status in PROVEN,
        notice=done if done in NOTICES else None,
        failed=await _failed(call, connection) if done == "saved" else None,
        is_answer=not call.is_safe,
    )


async def _failed(call: Call, connection: Connection) -> FailedTickets | None:
    """Return the refused tickets that the person can send again now that the settings have changed."""
    if not call.may(Role.TICKETS_CREATE):
        return None
    refused = TicketFilter(delivery=Delivery.FAILED)
    tickets, are_more = await call.application.resending.failed_tickets([connection.connection_id], refused)
    return FailedTickets(len(tickets), are_more) if tickets else None


async def _columns(app: Application, connection: Connection) -> Mapping[TicketKind, Mapping[str, Column] | None]:
    found = await asyncio.gather(*(app.suggestions.columns(connection, kind) for kind in TicketKind))
    return dict(zip(TicketKind, found, strict=True))


def _kind_forms(
    call: Call,
    connection: Connection,
    options: InstanceOptions,
    columns: Mapping[TicketKind, Mapping[str, Column] | None],
    values: Mapping[str, str],
) -> Sequence[KindForm]:
    forms = []
    for kind in TicketKind:
        prefix = STATE_FIELD.format(kind=kind, value="")
        entered = {name.removeprefix(prefix): text for name, text in values.items() if name.startswith(prefix) and text}
        named = {**connection.kinds[kind].state_names, **entered}
        offered = options.kinds[kind]
        forms.append(
            KindForm(
                kind,
                state_rows(call.application.states, kind, offered.states, named),
                offered.categories,
                [
                    Choice(each, call.language.named("outcome_policy", each))
                    for each in OutcomePolicy
                    if possible_policy(kind, each) is each
                ],
                not_done_codes(kind, KindSettings()),
                None if offered.close_codes is None else code_boxes(offered.close_codes, kind, values),
                "\n".join(chosen_codes(values, kind)),
                _REQUESTER_COLUMNS[kind],
                fixed_form_rows(values, kind, columns[kind]),
                offered_columns(kind, columns[kind]),
                columns[kind] is not None,
            )
        )
    return forms


def _worst_first(words: FindingWords) -> int:
    return (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED).index(words.outcome)


async def _known(call: Call) -> Connection:
    return await get_known_connection(call.application.connection_store, call.path_parameter("connection_id"))


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
