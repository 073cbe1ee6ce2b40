"""Licences: the services whose controls they let Secure Score measure, and their flags in `enabledServices`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Licence:
    """What a licence brings."""

    services: frozenset[str]
    flags: tuple[str, ...] = ()


def _licence(services: str, *flags: str) -> Licence:
    return Licence(frozenset(filter(None, services.split(","))), flags)


LICENCES: Mapping[str, Licence] = {
    "entra_free": _licence("AzureAD", "HasAADFree"),
    "entra_p1": _licence("AzureAD", "HasAADP1"),
    "entra_p2": _licence("AzureAD", "HasAADP2"),
    "exchange": _licence("EXO", "HasEXOP2"),
    "exchange_online_protection": _licence("MDO", "HasEOP"),
    "sharepoint": _licence("SPO", "HasSPOP2"),
    "teams": _licence("MS Teams"),
    "office": _licence("Admincenter,FORMS,SWAY"),
    "intune": _licence("Intune"),
    "defender_for_office_p1": _licence("MDO", "HasMDOP1"),
    "defender_for_office_p2": _licence("MDO", "HasMDOP2"),
    "defender_for_business": _licence(""),
    "defender_for_endpoint_p2": _licence("MDATP", "HasMDEP2"),
    "defender_for_identity": _licence("Azure ATP", "HasAATP"),
    "defender_for_cloud_apps": _licence("MCAS,AppG", "HasMCAS"),
    "purview_p1": _licence("MIP", "HasAIPP1"),
    "purview_p2": _licence("MIP", "HasAIPP2"),
}
"""By name. Defender for Business has no device assessment (Microsoft Graph §6). A connected application, such as
`MDA_GitHub`, counts as a licence for its service."""


def licence(name: str) -> Licence:
    """Return a licence by its name. Raises KeyError for an unknown one."""
    return Licence(frozenset({name})) if name.startswith("MDA_") else LICENCES[name]


def services_of(licences: Iterable[str]) -> frozenset[str]:
    """Return the services that Secure Score measures with these licences."""
    return frozenset().union(*(licence(name).services for name in licences))


def flags_of(licences: Iterable[str]) -> tuple[str, ...]:
    """Return `enabledServices` (Microsoft Graph §1.4)."""
    return tuple(flag for name in sorted(licences) for flag in licence(name).flags)
