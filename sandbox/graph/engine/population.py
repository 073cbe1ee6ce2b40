"""The objects of a tenant that controls count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sandbox.graph.engine.control import Control, Measure

PLATFORMS = ("windows", "macos", "linux", "mobile", "network", "domain_controllers")
_WHOLE_SETTING = 100
"""The parts of a setting that can be in place: percent."""


@dataclass(frozen=True)
class Population:
    """The number of users, administrators and domains, and of devices by platform."""

    users: int = 0
    admins: int = 0
    domains: int = 1
    devices: Mapping[str, int] = field(default_factory=dict)

    def total(self, control: Control) -> int:
        """Return how many objects a control counts."""
        match control.measure:
            case Measure.USERS:
                return self.users
            case Measure.ADMINS:
                return self.admins
            case Measure.DOMAINS:
                return self.domains
            case Measure.DEVICES:
                return self.devices.get(control.platform, 0)
            case _:
                return _WHOLE_SETTING

    def has_objects_for(self, control: Control) -> bool:
        """Say whether a control has anything to measure; people are always counted, even when there are none."""
        return not control.platform or self.devices.get(control.platform, 0) > 0

    def grown(self, *, users: int = 0, admins: int = 0, domains: int = 0, devices: Mapping[str, int]) -> "Population":
        """Return the population after growth; a negative number shrinks it.

        Raises ValueError for an unknown platform, and when a number would be negative.
        """
        if unknown := devices.keys() - set(PLATFORMS):
            raise ValueError(f"unknown platform: {', '.join(sorted(unknown))}")
        grown = replace(
            self,
            users=self.users + users,
            admins=self.admins + admins,
            domains=self.domains + domains,
            devices={
                platform: count
                for platform in PLATFORMS
                if (count := self.devices.get(platform, 0) + devices.get(platform, 0))
            },
        )
        if min(grown.users, grown.admins, grown.domains, *grown.devices.values(), 0) < 0:
            raise ValueError("a tenant cannot have fewer than none")
        return grown
