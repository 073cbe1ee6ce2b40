"""The Attachment API: files attached to records (ServiceNow §12)."""

import base64
import hashlib

from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.engine.data.records import Row
from sandbox.servicenow.wire.rest.call import Json, Resource, RestCall, page_links, without_body
from sandbox.servicenow.wire.rest.table import guarded_query, page_of

_SHOWN = (
    "sys_id",
    "file_name",
    "content_type",
    "size_bytes",
    "size_compressed",
    "compressed",
    "table_name",
    "table_sys_id",
    "hash",
    "state",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
    "sys_tags",
)


async def list_attachments(call: RestCall) -> Response:
    """GET the matching attachments; the list has only those whose record the caller may read."""
    limit, offset = page_of(call)
    query = guarded_query(call, "sys_attachment")
    records = call.instance.records
    compiled_ids = records.execute(
        f'SELECT t."sys_id" FROM "sys_attachment" AS t WHERE {query.where} '
        f"{'ORDER BY ' + query.order_by if query.order_by else ''} LIMIT ? OFFSET ?",
        (*query.parameters, limit, offset),
    )
    rows = [_readable(call, sys_id) for (sys_id,) in compiled_ids]
    total = records.count("sys_attachment", query)
    headers = {"X-Total-Count": str(total)}
    if not call.flag("sysparm_suppress_pagination_header"):
        headers["Link"] = page_links(call.request, limit=limit, offset=offset, total=total, negative_prev=True)
    return call.answer([_shown(call, row) for row in rows if row is not None], headers=headers)


async def read_attachment(call: RestCall) -> Response:
    """GET the metadata of an attachment."""
    return call.answer(_shown(call, _existing(call)))


async def read_file(call: RestCall) -> Response:
    """GET the content."""
    row = _existing(call)
    stored = call.instance.records.execute(
        'SELECT "data" FROM "sys_attachment_doc" WHERE "sys_attachment" = ?', (row["sys_id"],)
    )
    return Response(base64.b64decode(stored[0][0] or "") if stored else b"", media_type=row["content_type"])


async def attach_body(call: RestCall) -> Response:
    """POST the body as a file."""
    content_type = call.request.headers.get("content-type", "application/octet-stream")
    names = ("table_name", "table_sys_id", "file_name")
    table, sys_id, file_name = (call.parameters.get(name, "") for name in names)
    return _attach(call, table, sys_id, file_name, content_type, await call.read_body())


async def delete_attachment(call: RestCall) -> Response:
    """DELETE one attachment."""
    row = _existing(call)
    call.instance.operations.delete("sys_attachment", row["sys_id"], call.caller)
    call.instance.records.execute('DELETE FROM "sys_attachment_doc" WHERE "sys_attachment" = ?', (row["sys_id"],))
    return without_body(204)


def _attach(call: RestCall, table: str, sys_id: str, file_name: str, content_type: str, content: bytes) -> Response:
    instance = call.instance
    if table not in instance.dictionary or instance.operations.visible(table, sys_id, call.caller) is None:
        raise errors.no_record()
    if not file_name:
        raise errors.unreadable_payload("file_name is missing")
    with instance.records.transaction():
        row = instance.operations.insert(
            "sys_attachment",
            {
                "file_name": file_name,
                "content_type": content_type,
                "table_name": table,
                "table_sys_id": sys_id,
                "size_bytes": str(len(content)),
                "size_compressed": str(len(content)),
                "hash": hashlib.sha256(content).hexdigest(),
                "state": "available",
            },
            call.caller,
        )
        instance.records.insert(
            "sys_attachment_doc", {"sys_attachment": row["sys_id"], "data": base64.b64encode(content).decode()}
        )
    return call.answer(_shown(call, row), 201, {"Location": f"{call.api_url}/attachment/{row['sys_id']}/file"})


def _existing(call: RestCall) -> Row:
    row = _readable(call, call.path["sys_id"])
    if row is None:
        raise errors.no_record()
    return row


def _readable(call: RestCall, sys_id: str) -> Row | None:
    operations = call.instance.operations
    row = operations.visible("sys_attachment", sys_id, call.caller)
    if row is None or row["table_name"] not in call.instance.dictionary:
        return None
    return row if operations.visible(row["table_name"], row["table_sys_id"], call.caller) else None


def _shown(call: RestCall, row: Row) -> Json:
    shown: dict[str, Json] = {name: row[name] for name in _SHOWN}
    return shown | {"download_link": f"{call.base_url}/api/now/attachment/{row['sys_id']}/file"}


RESOURCES = (
    Resource("attachment", {"GET": list_attachments}),
    Resource("attachment/file", {"POST": attach_body}),
    Resource("attachment/{sys_id}", {"GET": read_attachment, "DELETE": delete_attachment}),
    Resource("attachment/{sys_id}/file", {"GET": read_file}),
)
