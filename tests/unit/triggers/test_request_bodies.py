"""Forms, and attacks on their parser."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import azure.functions as func
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import FixRequest
from shared.triggers.request_bodies import MAX_FIELDS, FormBody, FormContent, UploadedFile, read_form

UPLOAD = FormBody(max_bytes=5 * 1024 * 1024, files=frozenset({"file"}))
TYPE = "multipart/form-data; boundary=x"
PLAIN = st.text(st.characters(codec="utf-8"), max_size=20)


def request(body: bytes, content_type: str = TYPE, **headers: str) -> func.HttpRequest:
    return func.HttpRequest(method="POST", url="/", headers={"Content-Type": content_type, **headers}, body=body)


def part(disposition: str, content: bytes = b"content") -> bytes:
    return b"--x\r\n" + f"Content-Disposition: {disposition}".encode() + b"\r\n\r\n" + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


FILE = part('form-data; name="file"; filename="a.csv"')


def in_boundary(boundary: str, content: bytes) -> bytes:
    """A form with one file."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def refusal(sent: func.HttpRequest, declared: FormBody = UPLOAD) -> tuple[str, int]:
    with pytest.raises(FixRequest) as caught:
        read_form(sent, declared)
    return caught.value.code, caught.value.status


def test_a_form_is_read() -> None:
    fields = {"name": "漢 & b", "blank": ""}
    read = read_form(request(urlencode(fields).encode(), "application/x-www-form-urlencoded"), FormBody())
    assert read == FormContent(fields)
    body = multipart(part('form-data; name="name"', "漢".encode()), FILE)
    assert read_form(request(body), UPLOAD) == FormContent({"name": "漢"}, {"file": UploadedFile("a.csv", b"content")})
    assert read_form(request(body), FormBody()) == FormContent({"name": "漢"})


def test_another_body_has_no_fields() -> None:
    assert read_form(request(b"{}", "application/json"), FormBody()) == FormContent()
    assert read_form(func.HttpRequest(method="POST", url="/", body=b""), FormBody()) == FormContent()


@given(st.dictionaries(PLAIN.filter(bool), PLAIN, max_size=4))
def test_any_fields_come_back(fields: dict[str, str]) -> None:
    read = read_form(request(urlencode(fields).encode(), "application/x-www-form-urlencoded"), FormBody())
    assert read.fields == fields


@settings(max_examples=30)
@given(st.binary(max_size=200), st.integers(0, 40_000))
@example(b"\0" * 5, 8_052)  # a chunk would end inside the last boundary
def test_any_file_comes_back(content: bytes, filler: int) -> None:
    whole = content + b"\r\n-" * (filler // 3) + content
    body = in_boundary("a-boundary-that-is-not-in-it", whole)
    read = read_form(request(body, "multipart/form-data; boundary=a-boundary-that-is-not-in-it"), UPLOAD)
    assert read.files == {"file": UploadedFile("a.csv", whole)}


def test_the_first_of_a_name_counts() -> None:
    body = multipart(part('form-data; name="a"', b"1"), part('form-data; name="a"', b"2"), FILE, FILE[:-3] + b"X\r\n")
    read = read_form(request(body), UPLOAD)
    assert (read.fields, read.files["file"].content) == ({"a": "1"}, b"content")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="a\\"b;c=d.csv"', 'a"b;c=d.csv'),
        ('form-data; name="file"; filename="a%22b.csv"', 'a"b.csv'),
        ('form-data; name="file"; filename="../../etc/passwd"', "../../etc/passwd"),
        ('form-data; name="file"; filename=""', ""),
        ("form-data; name=file; filename*=UTF-8''%e6%bc%a2.csv", "漢.csv"),
    ],
)
def test_names_of_files(disposition: str, name: str) -> None:
    assert read_form(request(multipart(part(disposition))), UPLOAD).files["file"].name == name


MANY = multipart(*[part("form-data; name=a", b"")] * (MAX_FIELDS + 1))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (multipart(FILE), "multipart/form-data"),
        (multipart(FILE), "multipart/form-data; boundary="),
        (multipart(FILE), "multipart/form-data; boundary=é"),
        (in_boundary("x" * 71, b""), f"multipart/form-data; boundary={'x' * 71}"),
        (multipart(FILE), "multipart/form-data; boundary=y"),
        (b"", TYPE),
        (multipart(FILE)[:-6], TYPE),
        (multipart(FILE)[:20], TYPE),
        (FILE[:-4] + b"--x-", TYPE),
        (multipart(b"--x\r\n\r\nno header\r\n"), TYPE),
        (multipart(part("form-data")), TYPE),
        (multipart(part('form-data; name=""')), TYPE),
        (multipart(b"--x\r\nContent-Disposition: \xff\r\n\r\n\r\n"), TYPE),
        (MANY, TYPE),
        (multipart(b"--x\r\n" + b"X: y\r\n" * 700_000 + FILE[5:]), TYPE),
        (b"--x\r\n" + b" \r\n" * 1_500_000, TYPE),
        (b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 5_000_000, TYPE),
        (b"y" * 5_000_000, TYPE),
        (multipart(FILE) + b"y" * 5_000_000, TYPE),
    ],
)
def test_a_hostile_form_is_refused(body: bytes, content_type: str) -> None:
    started = time.process_time()
    assert refusal(request(body, content_type)) == ("invalid_form", 400)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("content", [b"\r\n" * 2_500_000, b"\r\n--x" * 700_000, b"--x--" * 1_000_000, b"-" * 5_000_000])
def test_a_file_that_looks_like_a_boundary_takes_no_time(content: bytes) -> None:
    started = time.process_time()
    body = in_boundary("xy", content)
    assert read_form(request(body, "multipart/form-data; boundary=xy"), UPLOAD).files["file"].content == content
    assert time.process_time() - started < 2


PIECES = [b"--x", b"--x--", b"\r\n", b"\n", b"\r", b":", b";", b'"', b" ", FILE, part("form-data; name=a")]


@given(st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_any_form_is_read_or_refused(body: bytes) -> None:
    try:
        read_form(request(body), UPLOAD)
    except FixRequest as error:
        if error.code != "invalid_form":
            raise


def test_files_need_a_form_that_can_hold_them() -> None:
    sent = request(b"file=a", "application/x-www-form-urlencoded")
    assert refusal(sent) == ("unsupported_media_type", 415)


def test_a_form_in_chunks_does_not_arrive() -> None:
    assert refusal(request(b"", TYPE, **{"Transfer-Encoding": "chunked"})) == ("length_required", 411)


@pytest.mark.parametrize("is_multipart", [False, True])
def test_a_field_that_is_sent_several_times_keeps_its_values(is_multipart: bool) -> None:
    sent = [("key", "b"), ("other", "x"), ("key", "a"), ("key", "b"), ("key", "")]
    if is_multipart:
        body = b"".join(
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in sent
        )
        read = read_form(request(body + b"--edge--\r\n", "multipart/form-data; boundary=edge"), FormBody())
    else:
        read = read_form(request(urlencode(sent).encode(), "application/x-www-form-urlencoded"), FormBody())
    assert read.values_of("key") == ["b", "a", ""]
    assert read.values_of("nothing") == []
    assert read.fields["key"] == "b"
