"""Bodies of requests: what each kind may contain, how large it may be, and how it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Final
from urllib.parse import parse_qsl

import azure.functions as func
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from shared.errors import FixRequest
from shared.value_object import value_object

JSON_TYPE: Final = "application/json"
MULTIPART_TYPE: Final = "multipart/form-data"
URLENCODED_TYPE: Final = "application/x-www-form-urlencoded"

MAX_BODY_BYTES: Final = 64 * 1024
MAX_FIELDS: Final = 2_000
"""Most fields and files of a form. The configuration page has the most: up to 500 states of each kind."""
MAX_PART_HEADER_BYTES: Final = 16 * 1024
"""What comes before a part's content; browsers send about a hundred bytes and the file's name."""
MAX_BOUNDARY_LENGTH: Final = 70
"""RFC 2046, 5.1.1."""
_CHUNK_BYTES: Final = MAX_PART_HEADER_BYTES // 2
_REST_OF_LINE: Final = re.compile(rb"[ \t-]*\r?\n?")


@value_object
class FormBody:
    """A form, as a route declares it: URL-encoded, or ``multipart/form-data`` (RFC 7578).

    Attributes:
        max_bytes: The whole body.
        files: Names of the fields that hold a file; files of other fields are dropped. A form with files must be
            ``multipart/form-data``.
    """

    max_bytes: int = MAX_BODY_BYTES
    files: frozenset[str] = frozenset()


@value_object
class UploadedFile:
    """A file in a form.

    Attributes:
        name: The name that the sender gives; it can be any text.
    """

    name: str
    content: bytes


@value_object
class FormContent:
    """The contents of a form.

    Attributes:
        fields: Of fields with the same name, the first.
        files: Of files with the same name, the first.
        sent: All fields in the order in which they were sent.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, UploadedFile] = field(default_factory=dict)
    sent: Sequence[tuple[str, str]] = field(default=(), compare=False, repr=False)

    def values_of(self, name: str) -> Sequence[str]:
        """Return the different values of a field that may be sent several times, such as a row's checkbox."""
        return list(dict.fromkeys(value for sent_name, value in self.sent if sent_name == name))


def refuse_large(request: func.HttpRequest, max_bytes: int) -> None:
    """Refuse a body that is larger than its route allows. Raises FixRequest (413 ``request_too_large``)."""
    if len(request.get_body()) > max_bytes:
        raise FixRequest("request_too_large", status=413, limit=max_bytes)


def read_json(request: func.HttpRequest) -> object:
    """Return the JSON value of a body.

    Raises:
        FixRequest: 415 ``unsupported_media_type``, 411 ``length_required`` or 400 ``invalid_json``.
    """
    if _media_type(request)[0] != JSON_TYPE:
        raise _other_type(JSON_TYPE)
    _refuse_chunks(request)
    try:
        return json.loads(request.get_body())
    except (ValueError, RecursionError):
        raise FixRequest("invalid_json") from None


def was_sent(request: func.HttpRequest) -> bool:
    """Whether the request has a body, even one in chunks that did not arrive."""
    return bool(request.get_body() or request.headers.get("Transfer-Encoding"))


def read_form(request: func.HttpRequest, declared: FormBody) -> FormContent:
    """Return the content of a form; a body of any other type has no fields.

    Raises:
        FixRequest: 400 ``invalid_form``, 411 ``length_required`` or, where files are declared, 415
            ``unsupported_media_type``.
    """
    media_type, options = _media_type(request)
    if declared.files and media_type != MULTIPART_TYPE:
        raise _other_type(MULTIPART_TYPE)
    if media_type not in {MULTIPART_TYPE, URLENCODED_TYPE}:
        return FormContent()
    _refuse_chunks(request)
    try:
        if media_type == URLENCODED_TYPE:
            text = request.get_body().decode(errors="replace")
            fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
            return FormContent(_first_of_each(fields), sent=fields)
        return _read_multipart(request.get_body(), options.get("boundary", "").encode("ascii"), declared.files)
    except (ValueError, RequestEntityTooLarge):
        raise FixRequest("invalid_form") from None


def _read_multipart(body: bytes, boundary: bytes, file_fields: frozenset[str]) -> FormContent:
    """Raises ValueError for a body that is not multipart, and RequestEntityTooLarge for one beyond the limits."""
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, UploadedFile]] = []
    part: Field | File | None = None
    content = bytearray()
    for event in _multipart_events(body, boundary):
        if isinstance(event, Field | File):
            part, content = event, bytearray()
            if not part.name:
                raise ValueError("a part has no name")
        elif isinstance(event, Data):
            content += event.data
            if event.more_data:
                continue
            if isinstance(part, Field):
                fields.append((part.name, content.decode(errors="replace")))
            elif isinstance(part, File) and part.name in file_fields:
                files.append((part.name, UploadedFile(part.filename, bytes(content))))
    return FormContent(_first_of_each(fields), _first_of_each(files), fields)


def _multipart_events(body: bytes, boundary: bytes) -> Iterator[Event]:
    """Yield the parts of a body.

    The decoder gets the body in chunks, since it limits how much data it buffers.
    """
    if not 1 <= len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise ValueError("there is no boundary")
    decoder = MultipartDecoder(boundary, MAX_PART_HEADER_BYTES, max_parts=MAX_FIELDS)
    for chunk in (*_chunks(body, boundary), None):
        decoder.receive_data(chunk)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event


def _chunks(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield a body in chunks that never end between a boundary and the end of its line.

    werkzeug 3.1 takes part of the line break before such a boundary for content.
    """
    open_line = re.compile(re.escape(b"--" + boundary) + rb"[ \t-]*\Z")
    start = 0
    while start < len(body):
        end = start + _CHUNK_BYTES
        if open_line.search(body, start, end) and (rest := _REST_OF_LINE.match(body, end)):
            end = rest.end()
        yield body[start:end]
        start = end


def _first_of_each[Value](pairs: Iterable[tuple[str, Value]]) -> Mapping[str, Value]:
    found: dict[str, Value] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _media_type(request: func.HttpRequest) -> tuple[str, Mapping[str, str]]:
    """Return the media type in lower case, and its parameters."""
    media_type, parameters = parse_options_header(request.headers.get("Content-Type"))
    return media_type.lower(), parameters


def _refuse_chunks(request: func.HttpRequest) -> None:
    """Refuse a body that was sent in chunks: the host hands over an empty one (Functions host §Q18)."""
    if not request.get_body() and was_sent(request):
        raise FixRequest("length_required", status=411)


def _other_type(expected: str) -> FixRequest:
    return FixRequest("unsupported_media_type", status=415, expected=expected)
