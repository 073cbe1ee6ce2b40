"""What an administrator of ServiceNow has to do, as steps on the page and as one text to hand over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from shared.check.findings import EXEMPTED_GROUP
from shared.connections.model import Grant, TicketKind
from shared.value_object import value_object
from shared.web.servicenow_links import GRANT_PROPERTY, ServiceNowLinks
from shared.words.language import Language
from shared.words.sentences import sentences

CONSOLE: Final[Mapping[Grant, Sequence[str]]] = {
    Grant.AUTHORIZATION_CODE: (
        "step.client.console.1",
        "step.client.console.2",
        "step.client.console.3",
        "step.client.console.4",
    ),
    Grant.CLIENT_CREDENTIALS: (
        "step.client.property",
        "step.client.console.credentials.1",
        "step.client.console.credentials.2",
        "step.client.console.3",
        "step.client.console.4",
    ),
}
"""Keys of the words for registering the client in the Machine Identity Console."""
REGISTRY: Final[Mapping[Grant, Sequence[str]]] = {
    Grant.AUTHORIZATION_CODE: ("step.client.registry.1", "step.client.registry.2", "step.client.registry.3"),
    Grant.CLIENT_CREDENTIALS: (
        "step.client.property",
        "step.client.registry.1",
        "step.client.registry.credentials.2",
        "step.client.registry.credentials.3",
        "step.client.registry.3",
    ),
}
"""Keys of the words for registering it in the Application Registry."""
USER: Final[Mapping[Grant, Sequence[str]]] = {
    Grant.AUTHORIZATION_CODE: ("step.user.interactive", "step.user.password", "step.user.second_factor"),
    Grant.CLIENT_CREDENTIALS: ("step.user.machine",),
}
"""Keys of the words for the integration user, besides its roles."""
_SUGGESTED_USER: Final = "m365.connector"


@value_object
class SetUp:
    """What the instructions are made of.

    Attributes:
        instance: Address of the instance; None if it has not been entered.
        integration_user: Its user name; None if it has not been entered.
        creating_roles: Roles that let a user create each kind of ticket; one of them is enough.
        egress_addresses: Where the connector's requests come from; empty if the operator has not listed them.
        links: Addresses of lists and forms in the instance; None if it has not been entered.
    """

    redirect_uri: str
    instance: str | None
    integration_user: str | None
    creating_roles: Mapping[TicketKind, Collection[str]]
    egress_addresses: Sequence[str]
    links: ServiceNowLinks | None = None


def values_of_steps() -> Mapping[str, str]:
    """Return what the words of the steps mention."""
    return {"property": GRANT_PROPERTY, "group": EXEMPTED_GROUP}


def administrator_instructions(t: Language, grant: Grant, set_up: SetUp) -> str:
    """Return everything that an administrator of ServiceNow needs for one grant, as plain text."""

    def steps(keys: Sequence[str]) -> list[str]:
        return [f"   - {t(key, **values_of_steps())}" for key in keys]

    def place(words: str, address: str | None) -> list[str]:
        return [f"   {t(words)}{t('label.colon')}{address}"] if address else []

    is_consent = grant is Grant.AUTHORIZATION_CODE
    links = set_up.links
    one_of = f" {t('step.user.roles.or')} "
    lines = [
        t("instructions.intro", instance=set_up.instance or t("instructions.instance")),
        "",
        f"1. {t('step.user')}",
        f"   {t('step.user.text')}",
        f"   User ID: {set_up.integration_user or _SUGGESTED_USER}",
        *place("link.new_user", links.new_user if links else None),
        *(
            f"   - {sentences(t('step.user.roles', kind=t(f'kind.{kind}')), one_of.join(roles))}"
            for kind, roles in set_up.creating_roles.items()
        ),
        f"   - {sentences(t('step.user.roles.rest'), 'snc_platform_rest_api_access')}",
        f"   - {sentences(t('step.user.roles.explicit'), 'snc_internal')}",
        *steps(USER[grant]),
        "",
        f"2. {t('step.client')} ({t(f'grant.{grant}')})",
        *([f"   Redirect URL: {set_up.redirect_uri}"] if is_consent else []),
        *place("link.new_grant_property", links.new_grant_property if links and not is_consent else None),
        f"   {t('step.client.console')}",
        *steps(CONSOLE[grant]),
        f"   {t('step.client.registry')}",
        *steps(REGISTRY[grant]),
        "",
        f"3. {t('step.addresses')}",
        f"   {', '.join(set_up.egress_addresses) or t('step.addresses.unknown')}",
        *place("link.addresses", links.addresses if links else None),
        "",
        f"4. {t(f'instructions.answer.{grant}')}",
    ]
    return "\n".join(lines)
