"""What is around every page: the product's name, the environment, the places, the version and the way to help."""

from __future__ import annotations

import azure.functions as func
import pytest

from shared.product import NAME, VERSION
from shared.settings import Settings, SettingsInvalid
from shared.triggers.front_door import Call
from shared.triggers.principal import Principal, Role
from shared.triggers.routes import ROUTES
from shared.words.language import languages
from tests.fixtures.html_tree import Element, read_html

SETTINGS = {
    "PUBLIC_BASE_URL": "https://connector.example.com",
    "KEY_VAULT_URL": "https://vault.example.com",
    "TABLES_URL": "https://tables.example.com",
}
DOCUMENTATION = "https://github.com/contoso/tickets/tree/v1.2.0/docs"


def page(path: str = "/tickets", language: str = "en", *roles: Role) -> Element:
    """Return a page without content."""
    caller = Principal("id", "Ada", None, frozenset(roles), is_application=False) if roles else None
    request = func.HttpRequest("GET", f"https://connector.example.com{path}", body=b"")
    call = Call(ROUTES[0], request, "request", languages()[language], caller=caller)
    return read_html(call.page("base.html", title="Tickets").get_body().decode())


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that can be used and say nothing about the environment."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    for name in ("ENVIRONMENT_NAME", "DOCUMENTATION_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("language", languages())
def test_the_product_has_one_name(language: str) -> None:
    (brand,) = page("/", language).of_class("brand")
    assert brand.text == NAME
    assert [key for key, text in languages()[language].texts.items() if NAME in text] == []


def test_the_environment_is_named_beside_the_product_and_in_the_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT_NAME", "Test <1>")
    (shown,) = page().of_class("environment")
    assert shown.text == "Environment: Test <1>"
    assert f"<title>Tickets – {NAME} (Test &lt;1&gt;)</title>" in html()


def html() -> str:
    """Return the same page as HTML."""
    request = func.HttpRequest("GET", "https://connector.example.com/tickets", body=b"")
    return Call(ROUTES[0], request, "request", languages()["en"]).page("base.html", title="Tickets").get_body().decode()


def test_one_environment_needs_no_name() -> None:
    assert page().of_class("environment") == []
    assert f"<title>Tickets – {NAME}</title>" in html()


def test_the_end_of_a_page_says_which_version_runs_and_leads_to_its_documentation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCUMENTATION_URL", DOCUMENTATION)
    (about,) = page().of_class("about")
    assert about.text == f"{NAME} Version {VERSION} Help"
    assert [link.attributes["href"] for link in about.all("a")] == [DOCUMENTATION]


def test_without_its_address_there_is_no_way_to_help() -> None:
    assert page().of_class("about")[0].all("a") == []


def test_a_page_that_says_that_settings_cannot_be_used_needs_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT_NAME", "Test")
    monkeypatch.delenv("TABLES_URL")
    assert page().of_class("environment") == []


@pytest.mark.parametrize(
    "value", ["http://docs.example.com", "javascript:alert(1)", "https://docs.example.com/ x", 'https://a"b']
)
def test_help_leads_to_an_address_of_the_web(value: str) -> None:
    with pytest.raises(SettingsInvalid, match="DOCUMENTATION_URL"):
        Settings.from_environment(SETTINGS | {"DOCUMENTATION_URL": value})


def test_whoever_may_open_nothing_has_no_menu() -> None:
    assert page().all("nav") == []


def test_language_and_sign_out_are_in_the_menu_if_there_is_one() -> None:
    (box,) = page("/tickets", "en", *Role).of_class("places-box")
    assert [each.text for each in box.all("a")[:2]] == ["日本語", "Sign out"]
    assert [each.text for each in page().of_class("who")[0].all("a")] == ["日本語"]


def test_a_place_is_marked_on_its_own_pages() -> None:
    def marked(path: str) -> dict[str, str]:
        (places,) = page(path, "en", *Role).all("nav")
        return {
            each.text: each.attributes["aria-current"] for each in places.all("a") if "aria-current" in each.attributes
        }

    assert marked("/tickets") == {"Tickets": "page"}
    assert marked("/tickets/new") == {"Tickets": "true"}
    assert marked("/ticketsomething") == {}
    assert marked("/") == {"Home": "page"}
