"""How a page is put together: template, language, security headers."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shared import product
from shared.recommendations.statuses import points_to_gain
from shared.tickets.model import OPEN_PHASES
from shared.web.ago import ago
from shared.web.connections import status_tone, status_words
from shared.web.microsofts_words import category_name, threat_name, tier_name
from shared.web.outcome_tones import outcome_tone
from shared.web.relative_due import relative_due
from shared.web.shown_text import ShownText
from shared.web.states import state_words
from shared.words.error_words import words_of
from shared.words.language import Language, languages
from shared.words.sentences import gap, sentences

FOLDER: Final = Path(__file__).parent
END_OF_DAY: Final = time(23, 59, 59)
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@cache
def environment() -> Environment:
    """Return the template environment: texts are escaped and shown as their place allows, missing values are errors."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        extensions=[ShownText],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals["static"] = static_address
    templates.globals["languages"] = languages()
    templates.globals["words_of"] = words_of
    templates.globals["relative_due"] = relative_due
    templates.globals["OPEN_PHASES"] = OPEN_PHASES
    templates.globals["sentences"] = sentences
    templates.globals["product"] = product.NAME
    templates.globals["version"] = product.VERSION
    templates.globals |= {
        "environment_name": "",
        "documentation_url": "",
        "attention_count": None,
        "was_done_before": False,
    }  # where nothing is set
    templates.globals["state_words"] = state_words
    templates.globals["category_name"] = category_name
    templates.globals["tier_name"] = tier_name
    templates.globals["threat_name"] = threat_name
    templates.globals["status_words"] = status_words
    templates.globals["status_tone"] = status_tone
    templates.filters["ago"] = ago
    templates.filters["day"] = day
    templates.filters["gap"] = gap
    templates.filters["moment"] = moment
    templates.filters["last_day"] = last_day
    templates.filters["outcome_tone"] = outcome_tone
    templates.filters["points"] = points
    templates.filters["points_to_gain"] = points_to_gain
    templates.filters["signed_points"] = signed_points
    return templates


def render(template: str, language: Language, **values: object) -> str:
    """Return the HTML of a page; ``t`` is the language inside the template."""
    return environment().get_template(template).render(t=language, **values)


def moment(value: datetime | None) -> str:
    """Return a time as people read it in every language: ISO date and minute, UTC."""
    return "" if value is None else f"{day(value)} {value:%H:%M} UTC"


def day(value: date) -> str:
    """Return a day as people read it in every language: the ISO date."""
    return f"{value:%Y-%m-%d}"


def points(value: Decimal) -> str:
    """Return points as people read them in every language: at most two decimals, and none that are zero."""
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def signed_points(value: Decimal) -> str:
    """Return a difference of points, always with its sign."""
    return f"{'−' if value < 0 else '+' if value > 0 else '±'}{points(abs(value))}"


def last_day(due_at: datetime, time_zone: str) -> str | None:
    """Return the ISO date if a due date ends with that day in the connection's time zone; otherwise None."""
    try:
        local = due_at.astimezone(ZoneInfo(time_zone))
    except OverflowError:
        return None  # The last day of the calendar may end sooner in UTC than in that zone.
    return local.date().isoformat() if local.time() == END_OF_DAY else None


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return every static file and its fingerprint, by name."""
    files = sorted((FOLDER / "static").iterdir())
    contents = {file.name: file.read_bytes() for file in files if file.is_file()}
    return {name: (content, hashlib.sha256(content).hexdigest()[:16]) for name, content in contents.items()}


def static_address(name: str) -> str:
    """Return the address of a static file; its fingerprint lets browsers keep it for ever."""
    return f"/static/{name}?v={static_files()[name][1]}"
