"""`GET /api/now/ui/user/current_user`: the user of these credentials (ServiceNow §6; undocumented, widely used)."""

from starlette.responses import Response

from sandbox.servicenow.engine import errors
from sandbox.servicenow.wire.rest.call import Resource, RestCall


async def current_user(call: RestCall) -> Response:
    """Answer who calls."""
    user = call.instance.records.get("sys_user", call.caller.user_sys_id)
    if user is None:
        raise errors.no_record()
    initials = "".join(name[0] for name in (user["first_name"], user["last_name"]) if name)
    return call.answer(
        {
            "user_avatar": user["avatar"],
            "user_sys_id": user["sys_id"],
            "user_name": user["user_name"],
            "user_display_name": user["name"],
            "user_initials": initials.upper(),
        }
    )


RESOURCES = (Resource("ui/user/current_user", {"GET": current_user}),)
