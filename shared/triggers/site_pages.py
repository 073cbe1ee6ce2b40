"""Pages: what every page needs (static files and the choice of language), and all unknown addresses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

import azure.functions as func

from shared.errors import FixRequest
from shared.triggers.cookies import set_cookie
from shared.triggers.front_door import Call, page, redirect
from shared.triggers.routes import ANY_METHOD, methods_of, own_address
from shared.web.html import static_files
from shared.words.language import COOKIE, languages

blueprint = func.Blueprint()

CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Of static files, by the end of the name. What the machine's own list says differs from machine to machine."""


@page(blueprint, "GET", "static/{name}", roles=None)
async def static_file(call: Call) -> func.HttpResponse:
    """Answer with a file of ``web/static``; its address carries a fingerprint, so browsers may keep it."""
    name = call.path_parameter("name")
    if name not in static_files():
        raise FixRequest("page_not_found", status=404)
    content, fingerprint = static_files()[name]
    fresh = call.query.get("v") == fingerprint
    return func.HttpResponse(
        content,
        headers={
            "Content-Type": CONTENT_TYPES[PurePath(name).suffix],
            "Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache",
        },
    )


@page(blueprint, "GET", "language/{code}", roles=None)
async def choose_language_page(call: Call) -> func.HttpResponse:
    """Remember the language and go back to where the person was."""
    code = call.path_parameter("code")
    if code not in languages():
        raise FixRequest("page_not_found", status=404)
    place = own_address(call.query.get("return_to", "/"))
    response = redirect("/" if place.startswith("/api/") else place)
    secure = call.application.settings.public_base_url.startswith("https:")
    set_cookie(response, COOKIE, code, max_age_s=31_536_000, secure=secure)
    return response


@page(blueprint, ANY_METHOD, "{*path}", roles=None)
async def unknown_address(call: Call) -> func.HttpResponse:
    """Answer what no other function takes: an unknown address, or a method that the address does not have.

    It would take everything from functions whose names sort after its own (Functions host §R55).
    """
    allowed = methods_of(call.path_parameter("path"))
    if not allowed:
        raise FixRequest("page_not_found", status=404)
    if call.request.method == "OPTIONS":
        return func.HttpResponse(status_code=204, headers={"Allow": ", ".join(allowed), "Cache-Control": "no-store"})
    raise FixRequest("method_not_allowed", status=405, allowed_methods=allowed)
