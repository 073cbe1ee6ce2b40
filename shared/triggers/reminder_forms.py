"""The form of a connection's reminders; loaded on first use, because few requests need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.errors import FixRequest
from shared.reminders.model import Cause, ReminderSettings
from shared.triggers.form_faults import Shown, fault_texts
from shared.words.language import Language

WEEKDAYS: Final = range(1, 8)
_ADDRESSES: Final = ("teams_address", "webhook_address")
_FIELDS: Final[Mapping[tuple[str, ...], str]] = {
    ("digest", "weekday"): "digest_weekday",
    ("digest", "at"): "digest_at",
    ("quiet_hours",): "quiet_to",
    ("quiet_hours", "begin_at"): "quiet_from",
    ("quiet_hours", "end_at"): "quiet_to",
}


def form_values(settings: ReminderSettings) -> dict[str, str]:
    """Return the fields of the form; addresses and secrets are never shown again."""
    return {
        "digest": "on" if settings.has_digest else "",
        "digest_weekday": str(settings.digest_weekday),
        "digest_at": settings.digest_at,
        "quiet_from": settings.quiet_from or "",
        "quiet_to": settings.quiet_to or "",
        **{f"urgent_{cause}": "on" if cause in settings.causes else "" for cause in Cause},
    }


def form_body(form: Mapping[str, str]) -> dict[str, object]:
    """Return the request that the form's fields mean."""
    body: dict[str, object] = {
        name: None if form.get(f"remove_{name}") else form[name].strip()
        for name in _ADDRESSES
        if form.get(f"remove_{name}") or form.get(name, "").strip()
    }
    if secret := form.get("signing_secret", "").strip():
        body["signing_secret"] = secret
    weekday, begin, end = (form.get(name, "").strip() for name in ("digest_weekday", "quiet_from", "quiet_to"))
    digest = {
        "weekday": int(weekday) if weekday in set(map(str, WEEKDAYS)) else weekday,
        "at": form.get("digest_at", ""),
    }
    return body | {
        "new_signing_secret": bool(form.get("new_signing_secret")),
        "digest": digest if form.get("digest") else None,
        "urgent": [cause.value for cause in Cause if form.get(f"urgent_{cause}")],
        "quiet_hours": {"begin_at": begin, "end_at": end} if begin or end else None,
    }


def reminder_faults(t: Language, error: FixRequest) -> dict[str, str]:
    """Return one text for each field; texts that concern no field are under the empty name."""
    return fault_texts(t, error, field_of_code={}, shown=_place)


def _place(pointer: Sequence[str]) -> Shown:
    return Shown(_FIELDS.get(tuple(pointer), pointer[0]), "")
