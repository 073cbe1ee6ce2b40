"""Importing a file: what it says is compared with what is stored for the tenant, and stored.

A file is stored as a whole or, if anything in it makes no sense, not at all. Importing the next one later updates the
actions; nothing is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.clock import Clock
from shared.errors import FixRequest
from shared.evidence.ports import EvidenceStore
from shared.log import log_event
from shared.recommendations.files.compliance_workbook import read_compliance_workbook
from shared.recommendations.files.formats import MAX_FILE_BYTES, FileFormat, format_of
from shared.recommendations.files.last_file import missing_from_last_file
from shared.recommendations.files.listed_actions import ReadList, reading_of_list
from shared.recommendations.files.secure_score_list import ListedAction, read_secure_score_list
from shared.recommendations.model import ComplianceDetails, ImprovementAction
from shared.recommendations.ports import RecommendationStore
from shared.recommendations.products import product_name
from shared.recommendations.reading.changes import changes_of
from shared.recommendations.reading.evidence import evidence_of
from shared.recommendations.statuses import status_of
from shared.recommendations.verifying.observations import observed_tenant
from shared.recommendations.verifying.tenant import TenantVerification
from shared.service import service
from shared.tenants.lookup import get_known_tenant
from shared.tenants.ports import TenantStore
from shared.value_object import value_object

_MAX_SHOWN: Final = 200
"""Longest value of a change, in characters."""


@value_object
class MemberChange:
    """A member of an action that a file changed.

    Attributes:
        name: Stable; a status, for example, is ``status``.
        before, after: As people read them, without units; empty for none.
    """

    name: str
    before: str
    after: str


@value_object
class ChangedAction:
    """An action that a file changed."""

    action: ImprovementAction
    members: Sequence[MemberChange]


@value_object
class ImportResult:
    """What a file changed.

    Attributes:
        file_at: When it was imported.
        unchanged: How many actions it only confirmed.
        missing: Actions of earlier files that it could have named but did not; they are kept.
        ambiguous: Rows that could stand for several actions, so they were left out.
        unknown_statuses: Rows with a status that we do not know; everything else of them was taken.
    """

    format: FileFormat
    file_at: datetime
    new: Sequence[ImprovementAction]
    changed: Sequence[ChangedAction]
    unchanged: int
    missing: Sequence[ImprovementAction]
    ambiguous: Sequence[ListedAction]
    unknown_statuses: Sequence[ListedAction]


@service
class FileImport:
    """Imports files.

    Attributes:
        turn: One file is imported at a time: a large workbook takes seconds of processor time, and memory.
    """

    tenants: TenantStore
    store: RecommendationStore
    evidence: EvidenceStore
    verification: TenantVerification
    turn: asyncio.Semaphore
    clock: Clock

    async def run(self, tenant_id: str, content: bytes) -> ImportResult:
        """Import a file into a tenant, which need not be read from Microsoft.

        Raises:
            FixRequest: 400 ``invalid_tenant_id``, 404 ``tenant_not_found``, or 422 ``file_unreadable``,
                ``file_not_recognised`` or ``file_rows_refused``; then nothing was changed.
            StorageUnavailable: Some actions may be stored; importing the file again does the rest.
        """
        tenant = await get_known_tenant(self.tenants, tenant_id)
        async with self.turn:
            stored = await self.store.list_actions(tenant.tenant_id)
            now = self.clock()
            # In a thread it holds up nobody else.
            file_format, read = await asyncio.to_thread(_read, content, stored, tenant.tenant_id, now)
            found = changes_of(stored, read.reading, now)
            rows = found.rows
            await self.evidence.record(evidence_of(found, read.reading, stored, now))
            await self.store.save_reading(tenant.tenant_id, rows, read.reading.texts, ())
        if await self.tenants.get_tenant(tenant.tenant_id) is None:
            # It was removed meanwhile, perhaps before anything of the file was stored.
            await self.store.delete_all(tenant.tenant_id)
            raise FixRequest("tenant_not_found", status=404)
        after = {action.key: action for action in stored} | {action.key: action for action in rows}
        # The points of a file prove nothing, but a ticket need not wait for what no file can show.
        observed = observed_tenant(tenant.tenant_id, after.values(), None, None)
        await self.verification.run(tenant, observed, after.values())
        result = _result(file_format, read, stored, rows, now)
        log_event(
            "file_imported",
            tenant_id=tenant.tenant_id,
            format=file_format,
            bytes=len(content),
            new=len(result.new),
            changed=len(result.changed),
            unchanged=result.unchanged,
            missing=len(result.missing),
            ambiguous=len(result.ambiguous),
        )
        return result


def _read(
    content: bytes, stored: Sequence[ImprovementAction], tenant_id: str, now: datetime
) -> tuple[FileFormat, ReadList]:
    """Return what a file says. Raises FixRequest (422)."""
    if len(content) > MAX_FILE_BYTES:
        raise FixRequest("request_too_large", status=413, limit=MAX_FILE_BYTES)
    file_format = format_of(content)
    if file_format is FileFormat.SECURE_SCORE_LIST:
        return file_format, reading_of_list(read_secure_score_list(content), stored, tenant_id, now)
    reading = read_compliance_workbook(content, tenant_id, now)
    before = {action.key: action for action in stored}
    actions = [_completed(action, before.get(action.key)) for action in reading.actions]
    return file_format, ReadList(replace(reading, actions=actions))


def _completed(action: ImprovementAction, before: ImprovementAction | None) -> ImprovementAction:
    """Return an action of a workbook with what its absent sheets would have said taken from an earlier workbook."""
    if before is None or action.compliance is None or before.compliance is None:
        return action
    now, then = action.compliance, before.compliance
    return replace(
        action,
        category=action.category or before.category,
        points=before.points if action.points is None else action.points,
        max_points=before.max_points if action.max_points is None else action.max_points,
        texts=before.texts if action.texts.description is None else action.texts,
        compliance=replace(
            now,
            action_type=now.action_type or then.action_type,
            solution=now.solution or then.solution,
            regulations=now.regulations or then.regulations,
            assessments=now.assessments or then.assessments,
            categories=now.categories or then.categories,
        ),
    )


def _result(
    file_format: FileFormat,
    read: ReadList,
    stored: Sequence[ImprovementAction],
    rows: Sequence[ImprovementAction],
    file_at: datetime,
) -> ImportResult:
    before = {action.key: action for action in stored}
    new = [action for action in rows if action.key not in before]
    both = [
        ChangedAction(action, _member_changes(before[action.key], action)) for action in rows if action.key in before
    ]
    changed = [each for each in both if each.members]
    after = before | {action.key: action for action in rows}
    left_out = {row.title for row in read.ambiguous}
    missing = [
        action
        for action in missing_from_last_file(after.values(), file_at)
        if action.source is read.reading.source and action.title not in left_out
    ]
    return ImportResult(
        format=file_format,
        file_at=file_at,
        new=new,
        changed=changed,
        unchanged=len(read.reading.actions) - len(new) - len(changed),
        missing=missing,
        ambiguous=read.ambiguous,
        unknown_statuses=read.unknown_statuses,
    )


def _member_changes(before: ImprovementAction, after: ImprovementAction) -> Sequence[MemberChange]:
    old, new = dict(_shown(before)), dict(_shown(after))
    return [MemberChange(name, old.get(name, ""), new[name]) for name in new if old.get(name, "") != new[name]]


def _shown(action: ImprovementAction) -> Iterator[tuple[str, str]]:
    """Yield the members that people want to know about."""
    details = action.compliance or ComplianceDetails()
    values: Mapping[str, object] = {
        "title": action.title,
        "product": product_name(action.service),
        "category": action.category,
        "points": _figure(action.points),
        "max_points": _figure(action.max_points),
        "status": status_of(action).value,
        "licence": {None: None, True: "yes", False: "no"}[action.has_licence],
        "implementation_status": details.implementation_status,
        "test_status": details.test_status,
        "assigned_to": details.assigned_to,
        "action_type": details.action_type,
        "testing_type": details.testing_type,
        "group": details.group,
        "solution": details.solution,
        "regulations": ", ".join(details.regulations),
        "assessments": ", ".join(details.assessments),
        "implemented_on": details.implemented_on,
        "tested_on": details.tested_on,
        "notes": details.notes,
    }
    for name, value in values.items():
        yield name, "" if value is None else _cut(str(value))


def _figure(value: Decimal | None) -> str | None:
    """Return a figure without zeros at its end, which say nothing."""
    return None if value is None else f"{value.normalize():f}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
