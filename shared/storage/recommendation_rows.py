"""How recommendations are kept in the table ``recommendations``: one partition for each tenant.

By row key: ``action:<key>``, ``batch:<id>``, ``claim:<key>``, ``snapshot:<yyyy-mm-dd>`` and ``text:<hash>``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from shared.recommendations.model import Average, ControlPoints, ImprovementAction, Snapshot
from shared.recommendations.ports import Batch, Claim
from shared.storage.members import Members, Row, members_of, members_row

ACTION_PREFIX: Final = "action:"
BATCH_PREFIX: Final = "batch:"
CLAIM_PREFIX: Final = "claim:"
SNAPSHOT_PREFIX: Final = "snapshot:"
TEXT_PREFIX: Final = "text:"

UNNAMED_SINCE: Final = "unnamed_since_at"
"""Column of a text that nothing named at that time; empty once it is stored again."""

TEXT_MOST_CHARACTERS: Final = 200_000
"""What is longer is cut: Microsoft's texts have some thousand characters, and a row holds 1 MiB."""
CHUNK_BYTES: Final = 60_000
"""A binary property holds 65,536 bytes."""

_ACTION: Final = Members(ImprovementAction, apart=["tenant_id"])
_CLAIM: Final = Members(Claim, apart=["tenant_id", "key"])
_BATCH: Final = Members(Batch, apart=["tenant_id", "batch_id"])


def action_row(action: ImprovementAction) -> Row:
    """Return the row of an improvement action, with the members that only another release knows."""
    return members_row(action.tenant_id, f"{ACTION_PREFIX}{action.key}", _ACTION.written(action))


def action_of(row: Mapping[str, Any]) -> ImprovementAction:
    """Return the improvement action in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return _ACTION.read(members_of(row), tenant_id=row["PartitionKey"], title="")


def texts_named_by(action: ImprovementAction) -> Collection[str]:
    """Return the hashes that an improvement action names, those of another release's texts included."""
    return {text_hash for text_hash in _ACTION.written(action).get("texts", {}).values() if isinstance(text_hash, str)}


def claim_row(claim: Claim) -> Row:
    """Return the row of a claim, with the members that only another release knows."""
    return members_row(claim.tenant_id, f"{CLAIM_PREFIX}{claim.key}", _CLAIM.written(claim))


def claim_of(row: Any) -> Claim:
    """Return the claim in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    key = row["RowKey"].removeprefix(CLAIM_PREFIX)
    return _CLAIM.read(members_of(row), tenant_id=row["PartitionKey"], key=key, etag=str(row.metadata["etag"]))


def batch_row(batch: Batch) -> Row:
    """Return the row of a batch; it is written once."""
    return members_row(batch.tenant_id, f"{BATCH_PREFIX}{batch.batch_id}", _BATCH.written(batch))


def batch_of(row: Mapping[str, Any]) -> Batch:
    """Return the batch in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    batch_id = row["RowKey"].removeprefix(BATCH_PREFIX)
    return _BATCH.read(members_of(row), tenant_id=row["PartitionKey"], batch_id=batch_id, requested_by="")


def text_row(tenant_id: str, text_hash: str, html: str) -> Row:
    """Return the row of a text."""
    return {
        "PartitionKey": tenant_id,
        "RowKey": f"{TEXT_PREFIX}{text_hash}",
        UNNAMED_SINCE: "",
        **_packed("html", html[:TEXT_MOST_CHARACTERS].encode("utf-8", "surrogatepass")),
    }


def text_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return hash and text in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    return row["RowKey"].removeprefix(TEXT_PREFIX), _unpacked("html", row).decode("utf-8", "surrogatepass")


def snapshot_row(tenant_id: str, snapshot: Snapshot) -> Row:
    """Return the row of a snapshot.

    What a later release adds to a snapshot needs a column of its own: a day is written again when its points change,
    and only other columns are kept then.
    """
    controls = sorted(snapshot.controls.items())
    # Column by column: identifiers, points and maxima compress better beside their like.
    table = [
        [control_id for control_id, _ in controls],
        [str(each.points) for _, each in controls],
        [None if each.max_points is None else str(each.max_points) for _, each in controls],
    ]
    return {
        "PartitionKey": tenant_id,
        "RowKey": f"{SNAPSHOT_PREFIX}{snapshot.day.isoformat()}",
        "snapshot_id": snapshot.snapshot_id,
        "score": str(snapshot.score),
        "max_score": str(snapshot.max_score),
        "averages": json.dumps([[each.basis, str(each.percent)] for each in snapshot.averages]),
        **_packed("controls", json.dumps(table, separators=(",", ":")).encode()),
    }


def snapshot_of(row: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot in a row; raises what :meth:`shared.storage.rows.RowReader.read` expects."""
    day = date.fromisoformat(row["RowKey"].removeprefix(SNAPSHOT_PREFIX))
    control_ids, points, maxima = json.loads(_unpacked("controls", row) or "[[], [], []]")
    return Snapshot(
        snapshot_id=row.get("snapshot_id") or f"{row['PartitionKey']}_{day.isoformat()}",
        day=day,
        score=Decimal(row["score"]),
        max_score=Decimal(row.get("max_score") or 0),
        controls=_Controls(dict(zip(control_ids, zip(points, maxima, strict=True), strict=True))),
        averages=tuple(Average(basis, Decimal(percent)) for basis, percent in json.loads(row.get("averages") or "[]")),
    )


class _Controls(Mapping[str, ControlPoints]):
    """Points by control id. They are made when asked for: a curve needs those of one control, or none."""

    def __init__(self, texts: Mapping[str, tuple[str, str | None]]) -> None:
        self._texts = texts

    def __getitem__(self, control_id: str) -> ControlPoints:
        points, maximum = self._texts[control_id]
        return ControlPoints(Decimal(points), None if maximum is None else Decimal(maximum))

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _packed(name: str, content: bytes) -> Row:
    """Return compressed bytes in as many columns as they need."""
    packed = zlib.compress(content, 9)
    chunks = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    # The number is always written: a merge cannot remove the chunks of a longer content.
    return {f"{name}_chunks": len(chunks), **{f"{name}_{number}": chunk for number, chunk in enumerate(chunks)}}


def _unpacked(name: str, row: Mapping[str, Any]) -> bytes:
    packed = b"".join(row[f"{name}_{number}"] for number in range(row.get(f"{name}_chunks") or 0))
    return zlib.decompress(packed) if packed else b""
