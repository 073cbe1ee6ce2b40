"""Switches: every answer that the reference (`docs/reference`) marks NOT FOUND or CONFLICT, at the section given."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

type Value = bool | int | str


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch: its name, default, effect and, for a text, the allowed values."""

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()


SWITCHES: tuple[Switch, ...] = (
    # The world (Microsoft Graph §1.4, §1.6)
    Switch("snapshot.hour", 3, "NOT FOUND §1.4: hour (UTC) at which the snapshot of the day appears."),
    Switch(
        "snapshot.revised_at_hour",
        0,
        "Hour (UTC) at which the content of the day's snapshot changes under the same id; 0 is never.",
    ),
    Switch(
        "signals.on_change",
        True,
        "§1.6: Entra and Teams controls are also measured soon after a change; if not, only weekly or monthly.",
    ),
    Switch(
        "first_day.profiles",
        "empty",
        "NOT FOUND §1.8: before its first snapshot a tenant lists no profiles, or all.",
        ("empty", "listed"),
    ),
    # Dispositions (Microsoft Graph §1.7)
    Switch(
        "state_updates.order",
        "appended",
        "NOT FOUND §1.7: the newest entry of controlStateUpdates is the last, the first, or the only one.",
        ("appended", "newest_first", "replaced"),
    ),
    Switch("state_updates.are_dated", True, "§1.7: entries of controlStateUpdates have a time."),
    Switch("state_updates.appear_at_once", True, "§1.6: a disposition can be read at once, or when it takes effect."),
    Switch("disposition.lag_hours", 24, "§1.6: hours until a disposition changes the points; a week was seen."),
    Switch("disposition.ignored_gives_points", True, "§1.7: an accepted risk keeps its measured points, or has none."),
    Switch("disposition.reviewed_stays", True, "§1.7: Reviewed counts in full, or falls back to Default."),
    # Scores
    Switch(
        "scores.averages",
        "present",
        "§1.4: averageComparativeScores as documented, an empty list, or with averages of -1.",
        ("present", "empty", "minus_one"),
    ),
    Switch("scores.undocumented_fields", False, "NOT FOUND §1.4: source, state, controlState and IsApplicable."),
    Switch("scores.active_users", 3, "§1.4: activeUserCount, an unreliable number."),
    # Lists (Microsoft Graph §1.3)
    Switch("profiles.page_size", 200, "§1.3: profiles on a page."),
    Switch("profiles.largest_top", 999, "§1.3: the largest $top of profiles."),
    Switch(
        "profiles.oversize_top",
        "clamped",
        "§1.3: a larger $top is reduced to the largest, ignored, or refused.",
        ("clamped", "ignored", "refused"),
    ),
    Switch("skiptoken.life_s", 3600, "NOT FOUND §1.3: seconds for which a $skiptoken is valid."),
    Switch("odata.select_and_orderby", "work", "CONFLICT §1.3: $select and $orderby.", ("work", "refused")),
    Switch("odata.expand_and_search", "refused", "NOT FOUND §1.3: $expand and $search.", ("refused", "ignored")),
    Switch("texts.follow_accept_language", False, "NOT FOUND §1.3: titles come in the language of Accept-Language."),
    Switch("profiles.extra_properties", True, "§1.2: profiles and scores have properties that nobody declared."),
    # Answers (Microsoft Graph §3)
    Switch("answers.latency_ms", 5, "Real milliseconds that each answer takes, so that requests can overlap."),
    Switch("answers.gzip", True, "§3.2, not verified: answers are compressed for callers that accept it."),
    Switch("errors.inner_error", "innerError", "§3.2: spelling of the inner error.", ("innerError", "innererror")),
    Switch(
        "errors.forbidden_code",
        "Forbidden",
        "NOT FOUND §1.8: code of a 403 for a missing role.",
        ("Forbidden", "InsufficientGraphPermissions", "UnknownError", ""),
    ),
    Switch(
        "errors.not_found_code",
        "ResourceNotFound",
        "NOT FOUND §1.3: code of a 404 for an unknown id.",
        ("ResourceNotFound", "UnknownError", ""),
    ),
    Switch(
        "throttling.retry_after",
        "seconds",
        "CONFLICT §3.1: Retry-After of a 429 in seconds, as an HTTP date, missing, or zero.",
        ("seconds", "date", "none", "zero"),
    ),
    Switch("throttling.retry_after_s", 10, "§3.1: seconds that Retry-After names."),
    Switch("throttling.concurrent", 4, "§3.1: requests at once, for each tenant; 0 is no limit."),
    Switch(
        "throttling.scores_per_minute", 150, "§3.1: requests for scores in a minute, for each tenant; 0 is no limit."
    ),
    Switch("throttling.per_ten_minutes", 10_000, "§3.1: requests in ten minutes, for each tenant; 0 is no limit."),
)


class Switches(MutableMapping[str, Value]):
    """The switches by name.

    Assigning a value of another type, or one that the switch does not allow, raises ValueError; an unknown name raises
    KeyError. Deleting returns a switch to its default.
    """

    def __init__(self) -> None:
        self._known = {switch.name: switch for switch in SWITCHES}
        self._values: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        return self._values.get(name, self._known[name].default)

    def __setitem__(self, name: str, value: Value) -> None:
        switch = self._known[name]
        if type(value) is not type(switch.default):
            raise ValueError(f"{name} is a {type(switch.default).__name__}, not {value!r}")
        if switch.choices and value not in switch.choices:
            raise ValueError(f"{name} is one of {', '.join(switch.choices)}, not {value!r}")
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def flag(self, name: str) -> bool:
        """Return a switch that is on or off."""
        return bool(self[name])

    def number(self, name: str) -> int:
        """Return a whole number."""
        return int(self[name])

    def text(self, name: str) -> str:
        """Return a text."""
        return str(self[name])

    def reset(self) -> None:
        """Return every switch to its default."""
        self._values.clear()
