"""A person with a browser: opens the pages of an instance, signs in, and consents. Synchronous; runs no scripts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from typing import Literal, Self
from urllib.parse import urljoin

import httpx

from sandbox.servicenow.engine.second_factor import one_time_code
from sandbox.trust import usual_trust

type Decision = Literal["allow", "deny"]

_MAXIMUM_HOPS = 20
_TIMEOUT_S = 60.0


class WalkError(Exception):
    """A person could not do what they wanted on the instance's pages; the text is what the page shows."""


@dataclass
class Form:
    """A form of a page: its address, its filled-in fields, and its submit buttons in order."""

    id: str
    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self.text: list[str] = []
        self._textarea = ""
        self._select = ""
        self._invisible = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._invisible = tag == "style" or self._invisible
        if tag == "form":
            form = Form(given.get("id", ""), given.get("method", "get").upper(), given.get("action", ""))
            self.forms.append(form)
        elif tag == "a" and "id" in given:
            self.links[given["id"]] = given.get("href", "")
        elif self.forms and tag == "button":
            self.forms[-1].buttons.append((given.get("name", ""), given.get("value", "")))
        elif self.forms and tag == "input" and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif self.forms and tag == "textarea":
            self._textarea = given.get("name", "")
            self.forms[-1].fields[self._textarea] = ""
        elif self.forms and tag == "select":
            self._select = given.get("name", "")
        elif self.forms and tag == "option" and self._select:
            chosen = self.forms[-1].fields
            if "selected" in given or self._select not in chosen:
                chosen[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._invisible = False
        elif tag == "textarea":
            self._textarea = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.forms[-1].fields[self._textarea] += data
        elif data.strip() and not self._invisible:
            self.text.append(data.strip())


@dataclass(frozen=True)
class Page:
    """What the browser shows: a page of the instance or, in `left_to`, the outside address that it was sent to."""

    url: str
    status: int = 200
    text: str = ""
    forms: Sequence[Form] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    left_to: str = ""

    def form(self, form_id: str) -> Form | None:
        """Return the form with that id."""
        return next((form for form in self.forms if form.id == form_id), None)


class Browser:
    """A browser without scripts: it keeps cookies, follows redirects within the instance, and stops at others.

    Args:
        transport: A way to reach the instance without a socket.
    """

    def __init__(self, *, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(timeout=_TIMEOUT_S, trust_env=False, transport=transport, verify=usual_trust())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the window and lose the cookies."""
        self._client.close()

    def open(self, url: str) -> Page:
        """Go to an address."""
        return self._go("GET", url)

    def follow(self, page: Page, link_id: str) -> Page:
        """Click the link with that id."""
        return self._go("GET", urljoin(page.url, page.links[link_id]))

    def submit(self, page: Page, form_id: str, values: Mapping[str, str] | None = None, *, button: str = "") -> Page:
        """Fill a form and press the submit button with that value. Raises WalkError if the page has no such form."""
        form = page.form(form_id)
        if form is None:
            raise WalkError(f"no form {form_id} on {page.url}: {page.text}")
        pressed: Iterable[tuple[str, str]] = [pair for pair in form.buttons if pair[0] and pair[1] == button]
        data = {**form.fields, **(values or {}), **dict(pressed)}
        return self._go(form.method, urljoin(page.url, form.action), data)

    def _go(self, method: str, url: str, data: Mapping[str, str] | None = None) -> Page:
        origin = _origin(url)
        for _ in range(_MAXIMUM_HOPS):
            sent = {"data": dict(data)} if data is not None and method == "POST" else {"params": data} if data else {}
            response = self._client.request(method, url, **sent)
            if not response.is_redirect:
                parser = _PageParser()
                parser.feed(response.text)
                text = " ".join(parser.text)
                return Page(str(response.url), response.status_code, text, parser.forms, parser.links)
            method, data, url = "GET", None, urljoin(url, response.headers["location"])
            if _origin(url) != origin:
                return Page(url, response.status_code, left_to=url)
        raise WalkError(f"redirected {_MAXIMUM_HOPS} times, last to {url}")


@dataclass
class AuthenticatorApp:
    """The app on a person's phone.

    Attributes:
        now: The phone's time; a simulated instance may have another than ours.
        secret: The key that was added to it (base32), or empty.
    """

    now: Callable[[], datetime]
    secret: str = ""

    def code(self) -> str:
        """Return the six digits that it shows."""
        return one_time_code(self.secret, self.now())


def sign_in(browser: Browser, page: Page, user_name: str, password: str, phone: AuthenticatorApp | None = None) -> Page:
    """Log in if `page` asks for it, avoiding single sign-on if needed. Raises WalkError if the instance refuses.

    A second factor is taken from `phone`. Without one, its set-up is postponed as often as the instance lets us.
    """
    if page.form("single_sign_on") is not None:
        page = browser.follow(page, "local_sign_in")
    page = browser.submit(page, "login", {"user_name": user_name, "user_password": password})
    if page.form("second_factor_setup") is not None:
        page = _set_up_second_factor(browser, page, phone)
    elif page.form("second_factor") is not None and phone is not None:
        page = browser.submit(page, "second_factor", {"txtResponse": phone.code()})
    if any(page.form(unfinished) is not None for unfinished in ("login", "second_factor", "second_factor_setup")):
        raise WalkError(page.text)
    return page


def _set_up_second_factor(browser: Browser, page: Page, phone: AuthenticatorApp | None) -> Page:
    form = page.form("second_factor_setup")
    if phone is None or form is None:
        return browser.submit(page, "second_factor_setup", button="sysverb_postpone_mfa_setup")
    phone.secret = form.fields["secret"]
    given = {"txtResponse": phone.code()}
    return browser.submit(page, "second_factor_setup", given, button="sysverb_validate_mfa_code")


def sign_in_and_consent(
    authorize_url: str,
    user_name: str,
    password: str,
    decision: Decision = "allow",
    *,
    browser: Browser | None = None,
    phone: AuthenticatorApp | None = None,
) -> str:
    """Authorize as a person does: open the page, log in, decide. Return the callback URL of the final redirect.

    If somebody else is still logged in to the `browser`, the person clicks "Not you?" first. If the instance asks for a
    second factor, it comes from the `phone`.

    Raises:
        WalkError: The walk ended on a page of the instance; the text is what it shows.
    """
    if browser is None:
        with Browser() as fresh:
            return sign_in_and_consent(authorize_url, user_name, password, decision, browser=fresh, phone=phone)
    page = browser.open(authorize_url)
    if page.form("consent") is not None and f"({user_name})" not in page.text:
        page = browser.follow(page, "other_user")
    if page.form("login") is not None or page.form("single_sign_on") is not None:
        page = sign_in(browser, page, user_name, password, phone)
    if not page.left_to:
        if page.form("consent") is None:
            raise WalkError(page.text)
        page = browser.submit(page, "consent", button={"allow": "authorize", "deny": "deny"}[decision])
    if not page.left_to:
        raise WalkError(page.text)
    return page.left_to


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = httpx.URL(url)
    return parts.scheme, parts.host, parts.port
