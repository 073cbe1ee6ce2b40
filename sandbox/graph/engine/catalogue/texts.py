"""The texts of controls, written for the sandbox: HTML as uneven as that of the service (Microsoft Graph §1.2)."""

import html
import random
from collections.abc import Mapping
from dataclasses import dataclass

DEVICE_REMEDIATION = (
    "<p>To see the devices and the options for this recommendation, go to Microsoft Defender Vulnerability Management "
    '&gt; <a href="https://security.microsoft.com/security-recommendations" target="_blank">Recommendations</a>.</p>'
)
"""The one text of all device controls."""


_WITHOUT_TEXTS = "sway_block_sharing_with_outside_users"
"""One profile has no text at all (Microsoft Graph §1.2)."""


@dataclass(frozen=True)
class _Portal:
    """Where an administrator of a service works."""

    name: str
    link: str
    path: tuple[str, ...]
    affected: str


_DEFENDER = _Portal(
    "the Microsoft Defender portal",
    "https://security.microsoft.com",
    ("Email &amp; collaboration", "Policies &amp; rules", "Threat policies"),
    "People may find expected mail in quarantine until an administrator releases it.",
)
_PORTALS: Mapping[str, _Portal] = {
    "AzureAD": _Portal(
        "the Microsoft Entra admin center",
        "https://entra.microsoft.com",
        ("Protection", "Conditional Access", "Policies"),
        "Users are asked for a second factor at their next sign-in. Applications that cannot do so stop working.",
    ),
    "Azure ATP": _Portal(
        "the Microsoft Defender portal",
        "https://security.microsoft.com/settings/identities",
        ("Settings", "Identities", "Sensors"),
        "Domain controllers need a short maintenance window.",
    ),
    "MDO": _DEFENDER,
    "EXO": _Portal(
        "the Exchange admin center",
        "https://admin.exchange.microsoft.com",
        ("Organization", "Sharing", "Default sharing policy"),
        "Users can no longer share as before; existing rules that forward mail stop.",
    ),
    "SPO": _Portal(
        "the SharePoint admin center",
        "http://aka.ms/spoadmin",
        ("Policies", "Access control"),
        "Guests may have to sign in again. Some old applications lose access to sites.",
    ),
    "MS Teams": _Portal(
        "the Microsoft Teams admin center",
        "https://admin.teams.microsoft.com",
        ("Meetings", "Meeting policies", "Global (Org-wide default)"),
        "Participants from outside wait in the lobby until somebody admits them.",
    ),
    "MIP": _Portal(
        "the Microsoft Purview portal",
        "https://purview.microsoft.com",
        ("Solutions", "Data loss prevention", "Policies"),
        "Users see policy tips when they share sensitive content.",
    ),
    "Intune": _Portal(
        "the Microsoft Intune admin center",
        "https://intune.microsoft.com",
        ("Devices", "Compliance", "Create policy"),
        "Devices that do not comply lose access to company data until they do.",
    ),
    "MCAS": _Portal(
        "the Microsoft Defender portal",
        "/cloudapps/settings",
        ("Settings", "Cloud apps"),
        "None for users; somebody must read the alerts.",
    ),
}
_THIRD_PARTY = _Portal(
    "the administration pages of the application",
    "http://go.microsoft.com/fwlink/?linkid=2212345",
    ("Setup", "Security", "Session settings"),
    "Users of the application sign in more often.",
)
_ENDINGS = (
    "Select <b>Save</b>.",
    "Select &quot;Save&quot; and wait until the change reaches all services.",
    "Turn the policy on and select&nbsp;<strong>Create</strong>.",
    "Repeat this for each group that needs it.",
)
_IMPACT_OPENINGS = ("<p>", '<p style="margin-bottom:0px">', " <p>", "\n<p>")


def remediation(control_id: str, title: str, service: str) -> str:
    """Return the steps to do as HTML; all device controls share one text."""
    if control_id == _WITHOUT_TEXTS:
        return ""
    if service == "MDATP":
        return DEVICE_REMEDIATION
    noise = _noise(control_id, "remediation")
    portal = _PORTALS.get(service, _THIRD_PARTY)
    link = f'<a href="{portal.link}" target="_blank">{portal.name}</a>'
    steps = [
        f"Open {link} as an administrator.",
        f"Go to <b>{' &gt; '.join(portal.path)}</b>.",
        f"Find the setting for &ldquo;{html.escape(title)}&rdquo;, and choose the recommended value.",
        noise.choice(_ENDINGS),
    ]
    match noise.randrange(4):
        case 0:
            return f"<ol>{''.join(f'<li>{step}</li>' for step in steps)}</ol>"
        case 1:
            numbered = "<br/>".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
            return f"\n\t\t\t<p>{numbered}</p>\n\t\t"
        case 2:
            items = "".join(f'<li style="font-family:Segoe UI;font-size:14px">{step}</li>' for step in steps)
            return (
                f' <p style="margin-bottom:0px">Follow these steps:</p><ol>{items}</ol>'
                '<p>See also the <a href="/securescore?viewid=history">history</a> of your score.</p>'
            )
        case _:
            return "".join(f"<p>{step}</p>" for step in steps) + "<p>&nbsp;</p>"


def remediation_impact(control_id: str, service: str) -> str | None:
    """Return what users notice, as HTML, or `None` for some controls."""
    noise = _noise(control_id, "impact")
    if control_id == _WITHOUT_TEXTS or noise.random() < 0.06:
        return None
    affected = "The effect depends on the device configuration."
    if service != "MDATP":
        affected = _PORTALS.get(service, _THIRD_PARTY).affected
    return f"{noise.choice(_IMPACT_OPENINGS)}{affected}</p>"


def description(control_id: str, title: str, service: str) -> str | None:
    """Return why the control matters, as HTML; one control really has none (Microsoft Graph §1.4)."""
    if control_id == "mdo_autoforwardingmode":
        return None
    noise = _noise(control_id, "description")
    subject = "devices" if service == "MDATP" else "accounts" if service in ("AzureAD", "Azure ATP") else "data"
    reason = noise.choice(
        (
            f"Attackers look for {subject} where this protection is missing.",
            f"It makes it harder to reach your organization&#39;s {subject}.",
            f"Many incidents begin with {subject} that nobody protects in this way.",
        )
    )
    opening = noise.choice(("<p>", "\n\t\t\t<p>", '<p class="description">', " <p>"))
    return f"{opening}{html.escape(title)}. {reason}</p>"


def _noise(control_id: str, text: str) -> random.Random:
    return random.Random(f"{control_id}/{text}")  # noqa: S311 - a repeatable choice, no secret
