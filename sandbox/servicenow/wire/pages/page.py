"""Renders the instance's web pages from its templates, all in the same style."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

_ENVIRONMENT = Environment(
    loader=PackageLoader("sandbox.servicenow.wire.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return `templates/<template>` filled with `values`."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status)


def message_page(title: str, text: str, status: int = 200) -> HTMLResponse:
    """Return a page with a single message."""
    return page("message.html", status, title=title, text=text)
