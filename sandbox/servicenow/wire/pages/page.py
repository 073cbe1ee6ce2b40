"""The instance's web pages: one look, one place where templates are."""

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
    """Return a page that says one thing."""
    return page("message.html", status, title=title, text=text)
