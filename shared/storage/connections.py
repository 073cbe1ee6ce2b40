"""Connections, in table ``connections``.

One partition per connection (its id) holds, by row key: ``connection``, ``lease:<purpose>``
(:mod:`shared.storage.leases`), and ``sync``, the state of the synchronisation as release 0.1 keeps it: the truth for
its hosts, for this release a copy of what is in the directory (:mod:`shared.storage.directory`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from shared.connections.directory import Place, SyncState
from shared.connections.fixed_fields import FixedField
from shared.connections.model import (
    DEFAULT_CONSENT_LIFETIME_S,
    Connection,
    ConnectionStatus,
    Grant,
    KindSettings,
    LastError,
    Operation,
    OutcomeNotes,
    OutcomePolicy,
    Portal,
    TicketKind,
)
from shared.connections.ports import RowChanged
from shared.storage.failures import english, failure_of, values_text
from shared.storage.rows import Columns, RowReader, json_object, long_text_columns, open_value, plain_time
from shared.storage.tables import get_row, insert_row, is_table_missing, storage_errors

type Row = dict[str, Any]

CONNECTION_KEY: Final = "connection"
SYNC_KEY: Final = "sync"
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""A time before this product; every stored time is later."""

_KINDS_OF_RELEASE_0_1: Final = frozenset({"incident", "change"})
"""Release 0.1 cannot read a connection whose column ``kinds`` holds any other kind, so the others have their own
column. Once no supported upgrade begins at 0.1, ``kinds`` can hold them all."""
_KIND_MEMBERS: Final = tuple(member.name for member in fields(KindSettings))
_POLICY_MEMBERS: Final = ("not_fixed", "regressed", "not_done_codes")
_USUAL: Final = KindSettings()


class AzureConnectionStore:
    """Implements :class:`shared.connections.ports.ConnectionStore`; every method can raise StorageUnavailable."""

    def __init__(self, table: TableClient, reader: RowReader | None = None) -> None:
        self._table = table
        self._reader = reader or RowReader()

    async def get_connection(self, connection_id: str) -> Connection | None:
        """Return the connection, or None. Raises RowUnreadable."""
        row = await get_row(self._table, connection_id, CONNECTION_KEY)
        return None if row is None else self._reader.read(self._table.table_name, row, connection_of)

    async def list_connections(self) -> Sequence[Connection]:
        """Return all connections, removed ones included, ordered by id; those that cannot be read are left out."""
        with storage_errors():
            found = self._table.query_entities("RowKey eq @key", parameters={"key": CONNECTION_KEY})
            rows = [row async for row in found]
        return sorted(
            self._reader.readable(self._table.table_name, rows, connection_of), key=lambda each: each.connection_id
        )

    async def create_connection(self, connection: Connection) -> Connection:
        """Store a new connection. Raises RowChanged when the id is taken."""
        return replace(connection, etag=await self._create(connection_row(connection)))

    async def update_connection(self, connection: Connection) -> Connection:
        """Replace a connection if its etag is still the stored one. Raises RowChanged otherwise."""
        assert connection.etag is not None, "only a stored connection can be replaced"
        return replace(connection, etag=await self._replace(connection_row(connection), connection.etag))

    async def get_sync_state(self, connection_id: str) -> SyncState:
        """Return the state as release 0.1 keeps it; a new one if there is none."""
        row = await get_row(self._table, connection_id, SYNC_KEY)
        return SyncState() if row is None else self._reader.read(self._table.table_name, row, sync_state_of)

    async def save_sync_state(self, connection_id: str, state: SyncState) -> SyncState:
        """Store the state for release 0.1 if its etag is still the stored one. Raises RowChanged otherwise."""
        row = sync_state_row(connection_id, state)
        return replace(state, etag=await (self._create(row) if state.etag is None else self._replace(row, state.etag)))

    async def list_sync_requests(self) -> Mapping[str, datetime]:
        """Return, by connection id, when a host of release 0.1 was asked for a synchronisation that has not run yet."""
        with storage_errors():
            found = self._table.query_entities(
                "RowKey eq @key and requested_at ge @earliest",
                parameters={"key": SYNC_KEY, "earliest": EARLIEST},
                select=["PartitionKey", "requested_at"],
            )
            return {row["PartitionKey"]: plain_time(row["requested_at"]) async for row in found}

    async def _create(self, row: Row) -> str:
        try:
            return await insert_row(self._table, row)
        except ResourceExistsError:
            raise RowChanged(row["PartitionKey"]) from None

    async def _replace(self, row: Row, etag: str) -> str:
        with storage_errors():
            try:
                answer = await self._table.update_entity(
                    row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                if is_table_missing(error):
                    raise
                raise RowChanged(row["PartitionKey"]) from None
            return str(answer["etag"])


def connection_row(connection: Connection) -> Row:
    """Return the row of a connection without values that are None, so a replaced row loses them.

    It also contains what another release wrote and this one does not know.
    """
    error = connection.last_error
    return dict(connection.kept) | _without_none(
        {
            "PartitionKey": connection.connection_id,
            "RowKey": CONNECTION_KEY,
            "display_name": connection.display_name,
            "instance": connection.instance,
            "client_id": connection.client_id,
            "integration_user": connection.integration_user,
            "portals": _portals_text(connection),
            **_kind_columns(connection),
            "default_callers": _default_callers_text(connection),
            "outcome_policies": _outcome_policies_text(connection),
            **long_text_columns("fixed_fields", _fixed_fields_text(connection)),
            "outcome_notes": connection.outcome_notes.value,
            "grant": connection.grant.value,
            "second_factor_holder": connection.second_factor_holder,
            "shares_requester": connection.shares_requester,
            "customer_group": connection.customer_group,
            "is_excluded": connection.is_excluded or None,
            "language": connection.language,
            "former_instances": json.dumps(dict(connection.former_instances)) if connection.former_instances else None,
            "record_names": json.dumps(dict(connection.record_names), ensure_ascii=False)
            if connection.record_names
            else None,
            "renamed_from": connection.renamed_from,
            "time_zone": connection.time_zone,
            "consent_lifetime_s": connection.consent_lifetime_s,
            "status": connection.status.value,
            "status_since_at": connection.status_since_at,
            "integration_user_sys_id": connection.integration_user_sys_id,
            "consented_at": connection.consented_at,
            "consent_ends_at": connection.consent_ends_at,
            "access_token_issued_at": connection.access_token_issued_at,
            "access_token_expires_at": connection.access_token_expires_at,
            "access_token_refresh_at": connection.access_token_refresh_at,
            "access_token_version": connection.access_token_version,
            "refresh_token_outdated_until_at": connection.refresh_token_outdated_until_at,
            "refresh_again_at": connection.refresh_again_at,
            "secrets_renew_at": connection.secrets_renew_at,
            "last_success_at": connection.last_success_at,
            "error_code": error.code if error else None,
            "error_values": values_text(error.failure) if error else None,
            "error_message": english(error.failure).message if error else None,
            "error_next_step": english(error.failure).next_step if error else None,
            "error_at": error.at if error else None,
            "error_operation": error.operation if error else None,
        }
    )


def connection_of(row: Mapping[str, Any]) -> Connection:
    """Return the connection in a row of the table; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    columns = Columns(row)
    get, time = columns.get, columns.time
    settings = json_object(get("kinds")) | json_object(get("later_kinds"))
    portals, default_callers = get("portals"), json_object(get("default_callers"))
    policies = json_object(get("outcome_policies"))
    fixed_fields = json_object(columns.long_text("fixed_fields"))
    return Connection(
        connection_id=columns["PartitionKey"],
        display_name=get("display_name", columns["PartitionKey"]),
        instance=columns["instance"],
        client_id=columns["client_id"],
        integration_user=get("integration_user", ""),
        portals=tuple(Portal(value) for value in _texts(portals) if value in set(Portal)),
        kinds={
            kind: replace(
                _kind_settings(settings.get(kind)),
                default_caller=default_callers.get(kind),
                fixed_fields=_fixed_fields(fixed_fields.get(kind, [])),
                **_outcome_policies(policies.get(kind, {})),
            )
            for kind in TicketKind
        },
        outcome_notes=open_value(OutcomeNotes, get("outcome_notes", OutcomeNotes.WORK_NOTE)),
        grant=open_value(Grant, get("grant", Grant.AUTHORIZATION_CODE)),
        second_factor_holder=get("second_factor_holder"),
        shares_requester=get("shares_requester", True),
        customer_group=get("customer_group"),
        is_excluded=get("is_excluded", False),
        language=get("language", "en"),
        time_zone=get("time_zone", "UTC"),
        consent_lifetime_s=get("consent_lifetime_s", DEFAULT_CONSENT_LIFETIME_S),
        status=open_value(ConnectionStatus, get("status", ConnectionStatus.NOT_CONFIGURED)),
        status_since_at=time("status_since_at"),
        integration_user_sys_id=get("integration_user_sys_id"),
        consented_at=time("consented_at"),
        consent_ends_at=time("consent_ends_at"),
        access_token_issued_at=time("access_token_issued_at"),
        access_token_expires_at=time("access_token_expires_at"),
        access_token_refresh_at=time("access_token_refresh_at"),
        access_token_version=get("access_token_version"),
        refresh_token_outdated_until_at=time("refresh_token_outdated_until_at"),
        refresh_again_at=time("refresh_again_at"),
        secrets_renew_at=time("secrets_renew_at"),
        last_success_at=time("last_success_at"),
        last_error=_last_error(columns),
        former_instances=json_object(get("former_instances")),
        record_names=json_object(get("record_names")),
        renamed_from=get("renamed_from"),
        kept=columns.unknown
        | {
            "kinds": json.dumps(settings),
            "portals": portals,
            "outcome_policies": json.dumps(policies),
            "fixed_fields": json.dumps(fixed_fields),
        },
        etag=_etag(row),
    )


def sync_state_row(connection_id: str, state: SyncState) -> Row:
    """Return the row of a synchronisation state, as :func:`connection_row` does."""
    return dict(state.kept) | _without_none(
        {
            "PartitionKey": connection_id,
            "RowKey": SYNC_KEY,
            "watermark": state.watermark,
            "watermark_seen_at": state.watermark_seen_at,
            **_place_columns("resume_after", "resume_offset", state.resume_at),
            "resume_after_ticket": state.resume_after_ticket,
            "last_started_at": state.last_started_at,
            "last_completed_at": state.last_completed_at,
            "requested_at": state.requested_at,
            "reconciled_at": state.reconciled_at,
            "reconcile_after": state.reconcile_after,
            **_place_columns("reconcile_place", "reconcile_offset", state.reconcile_place),
            "read_step": state.read_step or None,
            "read_step_at": state.read_step_at,
            "reconcile_again_at": state.reconcile_again_at,
        }
    )


def sync_state_of(row: Mapping[str, Any]) -> SyncState:
    """Return the synchronisation state in a row of the table; raises as :func:`connection_of` does."""
    columns = Columns(row)
    get, time = columns.get, columns.time
    return SyncState(
        watermark=get("watermark"),
        watermark_seen_at=time("watermark_seen_at"),
        resume_at=_place(get("resume_after"), get("resume_offset")),
        resume_after_ticket=get("resume_after_ticket"),
        last_started_at=time("last_started_at"),
        last_completed_at=time("last_completed_at"),
        requested_at=time("requested_at"),
        reconciled_at=time("reconciled_at"),
        reconcile_after=get("reconcile_after"),
        reconcile_place=_place(get("reconcile_place"), get("reconcile_offset")),
        read_step=get("read_step", 0),
        read_step_at=time("read_step_at"),
        reconcile_again_at=time("reconcile_again_at"),
        kept=columns.unknown,
        etag=_etag(row),
    )


def _kind_columns(connection: Connection) -> Row:
    """Return the settings of the kinds as JSON; kinds and members of another release are unchanged.

    Release 0.1 refuses a member that it does not know, so new ones go to their own column.
    """
    read = json_object(connection.kept.get("kinds"))
    written = {
        kind.value: read.get(kind, {})
        | {
            "enabled": settings.enabled,
            "assignment_group": settings.assignment_group,
            "category": settings.category,
            "state_names": dict(settings.state_names),
        }
        for kind, settings in connection.kinds.items()
    }
    every = read | written
    later = {kind: settings for kind, settings in every.items() if kind not in _KINDS_OF_RELEASE_0_1}
    return {
        "kinds": json.dumps({kind: every[kind] for kind in every if kind not in later}, ensure_ascii=False),
        "later_kinds": json.dumps(later, ensure_ascii=False) if later else None,
    }


def _default_callers_text(connection: Connection) -> str | None:
    """Return the default callers by kind as JSON; None if there are none."""
    callers = {kind: settings.default_caller for kind, settings in connection.kinds.items() if settings.default_caller}
    return json.dumps(callers) if callers else None


def _outcome_policies_text(connection: Connection) -> str:
    """Return the policies by kind as JSON, without usual ones; kinds and members of another release are unchanged."""
    by_kind = json_object(connection.kept.get("outcome_policies"))
    for kind, settings in connection.kinds.items():
        foreign = {name: value for name, value in by_kind.get(kind, {}).items() if name not in _POLICY_MEMBERS}
        chosen = {name: getattr(settings, name) for name in _POLICY_MEMBERS}
        by_kind[kind.value] = foreign | {
            name: value for name, value in chosen.items() if value != getattr(_USUAL, name)
        }
    return json.dumps({kind: members for kind, members in by_kind.items() if members}, ensure_ascii=False)


def _outcome_policies(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policies of one kind as members of its settings; a policy of another release stays as it is."""
    policies = {name: open_value(OutcomePolicy, stored[name]) for name in ("not_fixed", "regressed") if name in stored}
    codes = stored.get("not_done_codes")
    return policies | {"not_done_codes": None if codes is None else tuple(codes)}


def _fixed_fields_text(connection: Connection) -> str:
    """Return the fixed fields by kind as JSON; kinds and members of another release are unchanged."""
    by_kind = json_object(connection.kept.get("fixed_fields"))
    for kind, settings in connection.kinds.items():
        foreign = {each["column"]: each for each in by_kind.get(kind, [])}
        by_kind[kind.value] = [
            foreign.get(each.column, {}) | {"column": each.column, "value": each.value, "label": each.label}
            for each in settings.fixed_fields
        ]
    return json.dumps({kind: members for kind, members in by_kind.items() if members}, ensure_ascii=False)


def _fixed_fields(stored: Sequence[Mapping[str, Any]]) -> tuple[FixedField, ...]:
    """Return the fixed fields of one kind."""
    return tuple(FixedField(each["column"], each["value"], each.get("label")) for each in stored)


def _kind_settings(value: Mapping[str, Any] | None) -> KindSettings:
    """Return the settings of one kind. A missing kind is one that nobody has asked for."""
    if value is None:
        return KindSettings(enabled=False)
    return KindSettings(**{name: value[name] for name in _KIND_MEMBERS if name in value})


def _portals_text(connection: Connection) -> str:
    """Return the portals as JSON; those of another release are unchanged."""
    read = _texts(connection.kept.get("portals"))
    foreign = [value for value in read if value not in set(Portal)]
    return json.dumps([*connection.portals, *foreign])


def _texts(column: object) -> list[str]:
    """Return the texts in a JSON list, none for a missing column."""
    return [] if column is None else [str(each) for each in json.loads(str(column))]


def _last_error(columns: Columns) -> LastError | None:
    failure = failure_of(*(columns.get(f"error_{name}") for name in ("code", "values", "message", "next_step")))
    at, operation = columns.time("error_at"), columns.get("error_operation")
    if failure is None or at is None:
        return None
    return LastError(failure, at, None if operation is None else open_value(Operation, operation))


def _place_columns(after_column: str, offset_column: str, place: Place | None) -> Row:
    """Return the columns of a place; release 0.1 reads ``resume_after`` and begins there without the offset."""
    if place is None:
        return {}
    after = None if place.after is None else json.dumps(place.after)
    return {after_column: after, offset_column: place.offset or None}


def _place(after: str | None, offset: int | None) -> Place | None:
    if after is None:
        return None if offset is None else Place(None, offset)
    key, sys_id = json.loads(after)
    return Place((key, sys_id), offset or 0)


def _etag(row: Any) -> str:
    return str(row.metadata["etag"])


def _without_none(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
