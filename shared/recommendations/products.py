"""The products that Microsoft's codes mean (Microsoft Graph §1.5). Names are the same in every language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PRODUCTS: Final[Mapping[str, str]] = {
    "AAD": "Microsoft Entra ID",
    "Admincenter": "Microsoft 365 admin center",
    "AppG": "App governance",
    "Azure ATP": "Microsoft Defender for Identity",
    "AzureAD": "Microsoft Entra ID",
    "EXO": "Exchange Online",
    "FORMS": "Microsoft Forms",
    "Intune": "Microsoft Intune",
    "IP": "Microsoft Purview Information Protection",
    "MCAS": "Microsoft Defender for Cloud Apps",
    "MDATP": "Microsoft Defender for Endpoint",
    "MDO": "Microsoft Defender for Office 365",
    "MIP": "Microsoft Purview Information Protection",
    "MS Teams": "Microsoft Teams",
    "SPO": "SharePoint Online",
    "SWAY": "Microsoft Sway",
    "MDA_Atlassian": "Atlassian",
    "MDA_CitrixSF": "Citrix ShareFile",
    "MDA_DocuSign": "DocuSign",
    "MDA_Dropbox": "Dropbox",
    "MDA_GitHub": "GitHub",
    "MDA_Google": "Google Workspace",
    "MDA_NetDocuments": "NetDocuments",
    "MDA_Okta": "Okta",
    "MDA_SF": "Salesforce",
    "MDA_SNOW": "ServiceNow",
    "MDA_Workplace": "Workplace from Meta",
    "MDA_Zendesk": "Zendesk",
    "MDA_Zoom": "Zoom",
}
"""Names by code. ``MDA_`` are other vendors' products that Defender for Cloud Apps looks at."""
_BY_FOLDED_CODE: Final = {code.casefold(): name for code, name in PRODUCTS.items()}


def product_name(service: str) -> str:
    """Return the product's name; a code that we do not know is returned as received."""
    return _BY_FOLDED_CODE.get(service.strip().casefold(), service)
