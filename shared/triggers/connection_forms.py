"""Forms of the connection's pages: from a connection to the fields shown, and from the fields sent to a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from shared.access.model import CustomerLimit
from shared.connections.fixed_fields import MOST_FIXED_FIELDS
from shared.connections.model import DEFAULT_CONSENT_LIFETIME_S, Connection, Grant, KindSettings, Portal, TicketKind
from shared.errors import FixRequest
from shared.tickets.policies import not_done_codes, possible_policy, spelling
from shared.triggers.form_faults import Shown, fault_texts
from shared.words.language import Language

ACCOUNT_FIELDS: Final = ("display_name", "instance", "client_id", "client_secret", "integration_user")
"""The fields of the provisioning page that every request has."""
SECRET_FIELDS: Final = frozenset({"client_secret"})
"""Those of them that no page repeats."""
OPTIONAL_ACCOUNT_FIELDS: Final = ("grant", "second_factor_holder")
"""Its other fields: what a request leaves out stays as it is."""
NEW_ACCOUNT_FIELDS: Final = ("language", "time_zone")
"""The fields that it has for a new connection only; later they are settings."""
STATE_FIELD: Final = "{kind}_state_{value}"
CODE_FIELD: Final = "{kind}_code_{value}"
FIXED_FIELD: Final = "{kind}_fixed_{number}_{member}"
EMPTY_ROWS: Final = 3
"""How many further fixed fields the form has room for; saved or previewed, it has room for more."""


class CodeChoice(StrEnum):
    """Which close codes mean that a ticket is not done."""

    USUAL = "usual"
    OWN = "own"


_FIELD_OF_CODE: Final = {
    "instance_not_allowed": "instance",
    "client_secret_required": "client_secret",
    "would_lock_you_out": "limited_to",
}
_FIELD_OF_MEMBER: Final = {"assignment_group": "group", "state_names": "states", "not_done_codes": "codes"}
"""Fields of a kind's settings whose name differs from the request's member."""


def connection_body(connection: Connection) -> dict[str, object]:
    """Return the request that would leave the connection as it is.

    What happens after a ticket is closed is left out, so that it stays, even as another release wrote it.
    """
    return {
        "display_name": connection.display_name,
        "instance": connection.instance,
        "client_id": connection.client_id,
        "integration_user": connection.integration_user,
        "portals": [portal.value for portal in connection.portals],
        "kinds": {
            kind.value: {
                "enabled": settings.enabled,
                "assignment_group": settings.assignment_group,
                "category": settings.category,
                "default_caller": settings.default_caller,
                "state_names": dict(settings.state_names),
            }
            for kind, settings in connection.kinds.items()
        },
        "time_zone": connection.time_zone,
        "consent_lifetime_s": connection.consent_lifetime_s,
    }


def account_values(connection: Connection | None, language: str = "") -> dict[str, str]:
    """Return the current fields of the provisioning page; the client secret is never shown again.

    A new connection begins with the grant that the page recommends.

    Args:
        language: Code of the language that a new connection begins with.
    """
    values = dict.fromkeys((*ACCOUNT_FIELDS, *OPTIONAL_ACCOUNT_FIELDS, "same_instance"), "")
    values["grant"] = Grant.CLIENT_CREDENTIALS
    if connection is None:
        values |= {"language": language, "time_zone": "UTC"}
    else:
        values |= {
            "display_name": connection.display_name,
            "instance": connection.instance,
            "client_id": connection.client_id,
            "integration_user": connection.integration_user,
            "grant": connection.grant,
            "second_factor_holder": connection.second_factor_holder or "",
            "same_instance": "on" if connection.renamed_from is not None else "",
        }
    return values


def account_body(form: Mapping[str, str], connection: Connection | None) -> dict[str, object]:
    """Return the request that the provisioning page's fields mean; what it does not show is unchanged."""
    values = {name: form.get(name, "").strip() for name in ACCOUNT_FIELDS}
    given: dict[str, object] = {name: text for name, text in values.items() if name != "client_secret"}
    given |= {name: form[name].strip() for name in OPTIONAL_ACCOUNT_FIELDS if name in form}
    if connection is None:
        given |= {name: form[name].strip() for name in NEW_ACCOUNT_FIELDS if name in form}
    else:
        given["same_instance"] = bool(form.get("same_instance"))
    if values["client_secret"]:
        given["client_secret"] = values["client_secret"]
    if not values["display_name"]:
        given["display_name"] = re.sub(r"^[a-z]+://|/.*$", "", values["instance"])[:100]
    return (connection_body(connection) if connection is not None else {}) | given


def configuration_values(connection: Connection, limit: CustomerLimit | None = None) -> dict[str, str]:
    """Return the current fields of the configuration page; a ticked box is ``on``.

    Args:
        limit: Who may see the connection; None if everybody may.
    """
    allowed = "\n".join(f"{each.object_id} {each.note}".strip() for each in limit or ())
    values = {
        "display_name": connection.display_name,
        "time_zone": connection.time_zone,
        "consent_lifetime_s": str(connection.consent_lifetime_s),
        "outcome_notes": connection.outcome_notes.value,
        "shares_requester": "true" if connection.shares_requester else "false",
        "language": connection.language,
        "limited_to": allowed,
        "limited_to_before": allowed,
        "customer_group": connection.customer_group or "",
        "is_excluded": "true" if connection.is_excluded else "false",
    }
    values |= {f"portal_{portal}": "on" if portal in connection.portals else "" for portal in Portal}
    for kind, settings in connection.kinds.items():
        values |= {
            f"{kind}_enabled": "on" if settings.enabled else "",
            f"{kind}_group": settings.assignment_group or "",
            f"{kind}_category": settings.category or "",
            f"{kind}_default_caller": settings.default_caller or "",
            f"{kind}_other_value": "",
            f"{kind}_other_name": "",
            **_policy_values(kind, settings),
            **fixed_values(kind, [(each.column, each.label or each.value) for each in settings.fixed_fields]),
        }
        values |= {STATE_FIELD.format(kind=kind, value=state): name for state, name in settings.state_names.items()}
    return values


def configuration_body(form: Mapping[str, str], connection: Connection) -> dict[str, object]:
    """Return the request that the configuration page's fields mean; what it does not show is unchanged."""
    shown = configuration_values(connection)
    lifetime = form.get("consent_lifetime_s", shown["consent_lifetime_s"]).strip() or str(DEFAULT_CONSENT_LIFETIME_S)
    notes, shares = form.get("outcome_notes", ""), form.get("shares_requester", "")
    language, excluded = form.get("language", ""), form.get("is_excluded", "")
    return connection_body(connection) | {
        **({"language": language} if language not in {"", shown["language"]} else {}),
        **({"outcome_notes": notes} if notes not in {"", shown["outcome_notes"]} else {}),
        **_limit_body(form),
        **({"customer_group": form["customer_group"].strip()} if "customer_group" in form else {}),
        **({"is_excluded": excluded == "true"} if excluded in {"true", "false"} else {}),
        **({"shares_requester": shares == "true"} if shares in {"true", "false"} else {}),
        "display_name": form.get("display_name", ""),
        "time_zone": form.get("time_zone", "").strip(),
        "consent_lifetime_s": int(lifetime) if lifetime.isdecimal() and len(lifetime) < 12 else lifetime,
        "portals": [portal.value for portal in Portal if form.get(f"portal_{portal}")],
        "kinds": {
            kind.value: _kind_body(form, kind, connection) | _policies_body(form, kind, shown) for kind in TicketKind
        },
    }


def _limit_body(form: Mapping[str, str]) -> dict[str, object]:
    """Return who may see the connection if somebody changed that: an old page must not undo a limit."""
    before, after = (allowed_callers(form.get(name, "")) for name in ("limited_to_before", "limited_to"))
    return {} if before == after else {"limited_to": after}


def allowed_callers(text: str) -> list[dict[str, str]]:
    """Return who may see a connection, from lines with an object id and a note each."""
    parts = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    return [{"object_id": object_id.strip(",;"), "note": "".join(note).strip()} for object_id, *note in parts]


def fixed_rows(values: Mapping[str, str], kind: TicketKind) -> Sequence[tuple[str, str]]:
    """Return column and value of each fixed field in a form, without those that are empty or to be removed."""
    rows = []
    for number in range(MOST_FIXED_FIELDS + EMPTY_ROWS):
        column, value, removed = (
            values.get(FIXED_FIELD.format(kind=kind, number=number, member=member), "").strip()
            for member in ("column", "value", "remove")
        )
        if (column or value) and not removed:
            rows.append((column, value))
    return rows


def fixed_values(kind: TicketKind, rows: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the form's fields for fixed fields, each with its column and value."""
    return {
        FIXED_FIELD.format(kind=kind, number=number, member=member): text
        for number, row in enumerate(rows)
        for member, text in zip(("column", "value"), row, strict=True)
    }


def chosen_codes(values: Mapping[str, str], kind: TicketKind) -> Sequence[str]:
    """Return the close codes that are ticked or typed in a form, each once."""
    prefix = CODE_FIELD.format(kind=kind, value="")
    ticked = [name.removeprefix(prefix) for name, value in values.items() if name.startswith(prefix) and value]
    typed = values.get(f"{kind}_typed_codes", "").splitlines()
    return list({spelling(code): code.strip() for code in (*ticked, *typed) if code.strip()}.values())


def _policy_values(kind: TicketKind, settings: KindSettings) -> dict[str, str]:
    return {
        f"{kind}_not_fixed": possible_policy(kind, settings.not_fixed).value,
        f"{kind}_regressed": possible_policy(kind, settings.regressed).value,
        f"{kind}_codes": CodeChoice.USUAL if settings.not_done_codes is None else CodeChoice.OWN,
        f"{kind}_typed_codes": "",
    } | {CODE_FIELD.format(kind=kind, value=code): "on" for code in not_done_codes(kind, settings)}


def _policies_body(form: Mapping[str, str], kind: TicketKind, shown: Mapping[str, str]) -> dict[str, object]:
    """Return what was chosen otherwise than shown: what another release wrote cannot be sent, so it is left out."""
    given: dict[str, object] = {
        name: form[field]
        for name in ("not_fixed", "regressed")
        if (field := f"{kind}_{name}") in form and form[field] != shown.get(field)
    }
    match form.get(f"{kind}_codes"):
        case CodeChoice.USUAL:
            given["not_done_codes"] = None
        case CodeChoice.OWN:
            given["not_done_codes"] = chosen_codes(form, kind)
    return given


def _kind_body(form: Mapping[str, str], kind: TicketKind, connection: Connection) -> dict[str, object]:
    prefix = STATE_FIELD.format(kind=kind, value="")
    names = {name.removeprefix(prefix): text.strip() for name, text in form.items() if name.startswith(prefix)}
    names[form.get(f"{kind}_other_value", "").strip()] = form.get(f"{kind}_other_name", "").strip()
    settings = connection.kinds.get(kind, KindSettings())

    def record(field: str, present: str | None) -> str | None:
        """Return what somebody chose; the name under which the page showed the present record means that one."""
        text = form.get(f"{kind}_{field}", "").strip()
        return present if present is not None and text == connection.record_names.get(present) else text or None

    return {
        "enabled": bool(form.get(f"{kind}_enabled")),
        "assignment_group": record("group", settings.assignment_group),
        "category": form.get(f"{kind}_category", "").strip() or None,
        "default_caller": record("default_caller", settings.default_caller),
        "state_names": {value: name for value, name in names.items() if value and name},
        **_fixed_body(form, kind),
    }


def _fixed_body(form: Mapping[str, str], kind: TicketKind) -> dict[str, object]:
    """Return the fixed fields; nothing if the form does not show any, so that they stay."""
    prefix = f"{kind}_fixed_"
    if not any(name.startswith(prefix) for name in form):
        return {}
    return {"fixed_fields": [{"column": column, "value": value} for column, value in fixed_rows(form, kind)]}


def connection_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code=_FIELD_OF_CODE, shown=_shown)


def _shown(pointer: Sequence[str]) -> Shown:
    match pointer:
        case ["kinds"]:
            return Shown(f"{TicketKind.INCIDENT}_enabled", "fault.connection.enabled")
        case ["kinds", kind, "fixed_fields", number, member, *_]:
            field = FIXED_FIELD.format(kind=kind, number=number, member=member)
            return Shown(field, f"fault.connection.fixed_{member}")
        case ["kinds", kind, member, *_]:
            name = _FIELD_OF_MEMBER.get(member, member)
            return Shown(f"{kind}_{name}", f"fault.connection.{name}")
        case [member, *_]:
            return Shown(member, f"fault.connection.{member}")
    return Shown("", "")
