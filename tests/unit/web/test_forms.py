"""Every form says what it is doing while it is sent, and what people type outlives their session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import function_app as function_app
from shared.triggers.request_bodies import FormBody
from shared.triggers.routes import ROUTES, Keeps
from shared.web.html import FOLDER, environment
from tests.english import ENGLISH

TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
FORM = re.compile(r"<form (?:\{\{.*?\}\}|\{%.*?%\}|[^>{])*>")
IN_BRACES = re.compile(r"\{[{%].*?[}%]\}")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_every_form_that_is_sent_says_what_it_is_doing(template: Path) -> None:
    forms = FORM.findall(template.read_text(encoding="utf-8"))
    silent = [each for each in forms if "post" in each and "data-busy" not in each]
    assert silent == []


def test_what_the_script_keeps_the_answer_repeats_without_secrets() -> None:
    kept = {
        IN_BRACES.sub("*", action.replace("{{ from_query }}", "")).partition("?")[0].partition("#")[0]
        for template in TEMPLATES
        for form in FORM.findall(template.read_text(encoding="utf-8"))
        if "data-keep" in form
        for action in re.findall(r'action="((?:\{\{.*?\}\}|[^"])*)"', form)
    }
    assert kept >= {"/tickets/new", "/tickets/*/updates", "/configuration/*/settings", "/configuration/*/reminders"}
    posts = [each for each in ROUTES if each.method == "POST" and each.html]
    declared = {re.sub(r"\{\w+\}", "*", f"/{each.path}") for each in posts if each.keeps is Keeps.FORM}
    # One macro has the form of an account, wherever it is sent to.
    accounts = {"/ticketProvisioning", "/configuration/*/account"}
    assert declared == (kept - {"*"}) | accounts | {"/tenants/new"}
    for each in posts:
        if each.keeps is not None:
            assert isinstance(each.body, FormBody)
            assert not each.body.files
        is_account = re.sub(r"\{\w+\}", "*", f"/{each.path}") in accounts
        assert (each.keeps is not None and "client_secret" in each.secret_fields) == is_account


def test_what_people_type_is_never_lost_with_their_session() -> None:
    kept = {re.sub(r"\{\w+\}", "*", f"/{each.path}") for each in ROUTES if each.method == "POST" and each.keeps}
    typed = re.compile(r"text_field\(|named_field\(|<textarea|type=\"(?:text|time)\"")
    lost = []
    for template in TEMPLATES:
        for form in re.findall(r"<form .*?</form>", template.read_text(encoding="utf-8"), re.DOTALL):
            action = re.search(r'method="post" action="((?:\{\{.*?\}\}|[^"])*)"', form)
            if action and typed.search(form):
                path = IN_BRACES.sub("*", action[1].replace("{{ from_query }}", "")).partition("?")[0].partition("#")[0]
                lost += [] if path in kept | {"*"} else [path]
    assert lost == []


@pytest.mark.parametrize(
    ("faults", "link"),
    [({"name": "Too long."}, 'href="#name"'), ({"": "Sent before.", "kind": "No."}, 'href="#kind"'), ({"": "No."}, "")],
)
def test_the_banner_above_a_refused_form_leads_to_the_first_field(faults: dict[str, str], link: str) -> None:
    module = environment().get_template("macros.html").module
    html = str(module.faults_banner(ENGLISH, faults, "Please correct it."))  # type: ignore[attr-defined]
    assert faults.get("", "Please correct it.") in html
    assert re.findall(r'href="[^"]*"', html) == ([link] if link else [])
