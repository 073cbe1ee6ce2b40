"""Instances as companies harden them: the settings of each, and what its administrator hands over to a newcomer.

``make run HARDENED=<name>`` starts one with an empty connector; the tests play a newcomer against each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sandbox.servicenow.stage.control.client import ControlClient
from sandbox.servicenow.stage.seed.people import PEOPLE

type Grant = Literal["authorization_code", "client_credentials"]

_INTEGRATION_USER: Final = next(each for each in PEOPLE if each.user_name == "m365.connector")
EGRESS_ADDRESS: Final = "127.0.0.1"
"""The address that the connector calls from in the sandbox."""
_EVERYBODY: Final = {"range_start": "0.0.0.0", "range_end": "255.255.255.255"}


@dataclass(frozen=True)
class DataPolicy:
    """A data policy for new and changed incidents."""

    mandatory: Sequence[str]
    conditions: str = ""
    short_description: str = ""


@dataclass(frozen=True)
class Hardened:
    """A hardened instance.

    Attributes:
        demands: What it demands, for people.
        properties: Its switches.
        records: Table and values of records that it has besides those of a new instance.
        columns: Columns that it adds to incidents, with their entries in the dictionary.
        policies: Its data policies.
        domain: The domain of the integration user; empty is global.
        moved_to_domain: Another domain, to which a rule moves each new incident; empty if none does.
        user: Columns of the integration user.
        grant: The grant for which its administrator has registered the OAuth client.
        spelling: The integration user's name as people write it in a message.
        knows: What a person of the company would fill in where the pages ask for it, by the name of the field.
    """

    demands: str
    properties: Mapping[str, str | bool | int] = field(default_factory=dict)
    records: Sequence[tuple[str, Mapping[str, str]]] = ()
    columns: Mapping[str, Mapping[str, str | bool | int]] = field(default_factory=dict)
    policies: Sequence[DataPolicy] = ()
    domain: str = ""
    moved_to_domain: str = ""
    user: Mapping[str, str] = field(default_factory=dict)
    grant: Grant = "authorization_code"
    spelling: str = _INTEGRATION_USER.user_name
    knows: Mapping[str, str] = field(default_factory=dict)


HARDENED: Final[Mapping[str, Hardened]] = {
    "mfa": Hardened(
        "Everybody who signs in with a password needs a second factor, at once.",
        properties={
            "simulator.mfa.enforced": True,
            "glide.authenticate.multifactor.self_enrolment_period": 0,
        },
    ),
    "single_sign_on": Hardened(
        "People sign in at the company’s identity provider only; the integration user has no password.",
        properties={"simulator.single_sign_on.user": "adele.vance"},
        user={"user_password": ""},
    ),
    "explicit_roles": Hardened(
        "The explicit roles plug-in is active, and the integration user lacks snc_internal.",
        properties={"simulator.explicit_roles.active": True},
    ),
    "api_access_policy": Hardened(
        "A REST API access policy allows the Table API with Basic authentication only.",
        records=(
            (
                "sys_api_access_policy",
                {"name": "Table API for scripts", "rest_api_path": "/now/table", "auth_types": "basic"},
            ),
        ),
    ),
    "ip_filter": Hardened(
        "IP Address Access Control denies every address that no rule allows.",
        records=(("ip_access", {"name": "Everybody else", "type": "deny", **_EVERYBODY}),),
    ),
    "mandatory_ci": Hardened(
        "A data policy requires a configuration item for each incident.",
        policies=(DataPolicy(("cmdb_ci",), short_description="Every incident has a configuration item"),),
        knows={"Configuration item": "Exchange Online"},
    ),
    "data_policy": Hardened(
        "A data policy requires two further fields for each new incident, one of them the company’s own.",
        columns={"u_cost_center": {"column_label": "Cost center", "internal_type": "string", "max_length": 40}},
        policies=(
            DataPolicy(("u_cost_center", "contact_type"), "state=1", short_description="New incidents are complete"),
        ),
        knows={"Cost center": "4711", "Contact type": "Self-service"},
    ),
    "domain_separation": Hardened(
        "Domains are separated, and a rule moves each new incident out of the integration user’s domain.",
        domain="ACME",
        moved_to_domain="Service desk",
    ),
    "case_sensitive": Hardened(
        "The database distinguishes case, addresses have capitals, and a data policy requires a caller.",
        properties={"simulator.query.text_comparison": "case_sensitive"},
        records=(("sys_user", {"user_name": "MBowen", "name": "Megan Bowen", "email": "Megan.Bowen@contoso.example"}),),
        policies=(DataPolicy(("caller_id",), short_description="Every incident has a caller"),),
        knows={"Caller": "Megan Bowen"},
        spelling="M365.Connector",
    ),
    "replaced_sys_id": Hardened(
        "The instance replaces the ids that callers propose for records.",
        properties={"simulator.supplied_sys_id": "replaced"},
    ),
    "no_choice_rights": Hardened(
        "The integration user may read neither choice lists nor columns, and a data policy requires a choice.",
        properties={"simulator.acl.sys_choice_for_admin_only": True, "simulator.metadata_apis": False},
        policies=(DataPolicy(("contact_type",), short_description="Every incident has a contact type"),),
        knows={"Contact type": "self-service"},
    ),
    "client_credentials": Hardened(
        "The integration user is a machine: nobody can sign in as it.",
        user={"user_password": "", "web_service_access_only": "true", "identity_type": "machine"},
        grant="client_credentials",
    ),
}
"""The instances by their names."""


@dataclass(frozen=True)
class HandOver:
    """What the administrator of an instance gives to the administrator of the connector.

    Attributes:
        integration_user: Its name as people write it in a message.
        sign_in_name: Its name to sign in with, as the vault has it.
        password: Its password; empty if nobody signs in as it.
        knows: As in :class:`Hardened`.
    """

    instance: str
    client_id: str
    client_secret: str
    grant: Grant
    integration_user: str
    sign_in_name: str
    password: str
    knows: Mapping[str, str]


def harden(control: ControlClient, name: str, redirect_uri: str) -> HandOver:
    """Harden a new instance, register an OAuth client, and return what to hand over.

    Raises:
        KeyError: There is no hardened instance of that name.
    """
    hardened = HARDENED[name]
    control.set_properties(hardened.properties)
    user = control.change_user(_INTEGRATION_USER.user_name, **hardened.user)
    if hardened.domain:
        control.move_to_domain("sys_user", user["sys_id"], control.create_domain(hardened.domain))
    if hardened.moved_to_domain:
        other = control.create_domain(hardened.moved_to_domain)
        # The path is that of a domain without one above it.
        control.add_business_rule("incident", {"sys_domain": other, "sys_domain_path": f"!!{other[:8]}/"})
    for column, entry in hardened.columns.items():
        control.define_column("incident", column, **entry)
    for policy in hardened.policies:
        described: dict[str, Any] = {"short_description": policy.short_description}
        control.add_data_policy("incident", mandatory=policy.mandatory, conditions=policy.conditions, **described)
    is_consent = hardened.grant == "authorization_code"
    client = control.create_oauth_client("Microsoft 365 tickets", redirect_uri if is_consent else "")
    for table, values in hardened.records:
        control.insert_record(table, values)
    return HandOver(
        instance=control.base_url,
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        grant=hardened.grant,
        integration_user=hardened.spelling,
        sign_in_name=_INTEGRATION_USER.user_name,
        password=hardened.user.get("user_password", _INTEGRATION_USER.password),
        knows=hardened.knows,
    )
