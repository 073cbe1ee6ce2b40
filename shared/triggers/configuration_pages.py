"""Page: the settings of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from zoneinfo import available_timezones

import azure.functions as func

from shared.application import Application
from shared.connections.columns import Column
from shared.connections.fixed_fields import MOST_FIXED_FIELDS, SUGGESTED_COLUMNS, reservation
from shared.connections.lookup import get_present_connection
from shared.connections.model import (
    Connection,
    KindSettings,
    OutcomeNotes,
    OutcomePolicy,
    Portal,
    TicketKind,
)
from shared.connections.options import Choice, InstanceOptions
from shared.connections.requests import read_connection_request
from shared.errors import FixRequest
from shared.tickets.model import Delivery, Phase
from shared.tickets.policies import not_done_codes, possible_policy, spelling
from shared.tickets.ports import StateModel, TicketFilter
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
from shared.triggers.routes import Keeps
from shared.value_object import value_object
from shared.words.language import languages

blueprint = func.Blueprint()

LONG_VALUE: Final = 100
"""Characters above which a value gets several lines."""
_REQUESTER_COLUMNS: Final = {TicketKind.INCIDENT: "caller_id", TicketKind.CHANGE: "requested_by"}
_NAMED: Final = {
    f"/kinds/{kind}/{member}": table
    for kind in TicketKind
    for member, table in (("assignment_group", "sys_user_group"), ("default_caller", "sys_user"))
}


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
        is_named: Whether the connection has a name of its own for it.
    """

    value: str
    label: str
    phase: Phase
    field: str
    is_named: bool


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
        usual_codes: Names of the close codes that claim no fix unless an administrator chooses others.
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


@page(blueprint, "GET", "configuration/{connection_id}/settings", roles=MANAGERS)
async def configuration_page(call: Call) -> func.HttpResponse:
    """Show the settings."""
    connection = await _present(call)
    limit = await call.application.sight.limit_of(connection.connection_id)
    return await _form(call, connection, configuration_values(connection, limit), {})


@page(blueprint, "POST", "configuration/{connection_id}/settings", roles=MANAGERS, keeps=Keeps.FORM)
async def configuration_save(call: Call) -> func.HttpResponse:
    """Save the settings, or show them again as a preview."""
    return await _save(call)


async def _save(call: Call) -> func.HttpResponse:
    connection = await _present(call)
    values = sent_values(call.form, connection)
    if call.form.get("step") == "preview":
        return await _form(call, connection, values, {})
    try:
        app = call.application
        named = await with_sys_ids(
            app, connection, "invalid_connection", configuration_body(call.form, connection), _NAMED
        )
        request = await app.named_values.resolved(connection.connection_id, read_connection_request(named.body))
        await app.configuration.put(connection.connection_id, request, names=named.names)
    except FixRequest as error:
        return await _form(call, connection, values, connection_faults(call.language, error), status=error.status)
    return redirect(f"/configuration/{connection.connection_id}/settings?done=saved")


@page(blueprint, "POST", "configuration/{connection_id}", roles=MANAGERS)
async def configuration_save_here(call: Call) -> func.HttpResponse:
    """Save the settings from a page that the release before has sent: its form has the connection's own address."""
    return await _save(call)


def state_rows(
    states: StateModel, kind: TicketKind, offered: Sequence[Choice] | None, named: Mapping[str, str]
) -> Sequence[StateRow]:
    """Return the states of a kind: the instance's, or those of a new instance, and every state with a name."""
    labels = dict(states.usual(kind)) if offered is None else {each.value: each.label for each in offered}
    labels |= {value: value for value in named if value not in labels}
    return [
        StateRow(value, label, states.phase(kind, value), STATE_FIELD.format(kind=kind, value=value), value in named)
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


def code_names(codes: Iterable[str], offered: Sequence[Choice]) -> Sequence[str]:
    """Return the instance's names of close codes; a code that it does not offer is its own name."""
    labels = {spelling(each.value): each.label for each in offered}
    return [labels.get(spelling(code), code) for code in codes]


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
    is_saved = call.query.get("done") == "saved"
    return call.page(
        "connection_settings.html",
        status=status,
        offered=with_present,
        connection=connection,
        values=values,
        faults=faults,
        groups=options.assignment_groups,
        kinds=_kind_forms(call, connection, options, columns, values),
        tongues=[Choice(code, each("language.name")) for code, each in languages().items()],
        notes=[Choice(each, call.language.named("outcome_notes", each)) for each in OutcomeNotes],
        portals=tuple(Portal),
        time_zones=sorted(available_timezones()),
        is_saved=is_saved,
        failed=await _failed(call, connection) if is_saved else None,
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
                code_names(not_done_codes(kind, KindSettings()), offered.close_codes or ()),
                None if offered.close_codes is None else code_boxes(offered.close_codes, kind, values),
                "\n".join(chosen_codes(values, kind)),
                _REQUESTER_COLUMNS[kind],
                fixed_form_rows(values, kind, columns[kind]),
                offered_columns(kind, columns[kind]),
                columns[kind] is not None,
            )
        )
    return forms


async def _present(call: Call) -> Connection:
    return await get_present_connection(call.application.connection_store, call.path_parameter("connection_id"))
