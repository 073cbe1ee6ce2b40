"""What a caller may see. Pure."""

from __future__ import annotations

from typing import Final

from shared.value_object import value_object


@value_object
class AllowedCaller:
    """Somebody who may see a limited customer.

    Attributes:
        object_id: Object id in Entra ID, in lower case: of a group, or of an application's service principal, whose
            token names no groups.
        note: Who that is, for people.
    """

    object_id: str
    note: str = ""


type CustomerLimit = tuple[AllowedCaller, ...]
"""Everybody who may see a limited customer; nobody if it is empty."""


@value_object
class Access:
    """What a caller may see.

    Attributes:
        ids: Object ids of the caller and of the caller's groups; None for the app's own work, which sees everything.
    """

    ids: frozenset[str] | None

    def sees(self, limit: CustomerLimit | None) -> bool:
        """Whether the caller sees a customer.

        Args:
            limit: None if the customer is not limited.
        """
        return limit is None or self.ids is None or any(each.object_id in self.ids for each in limit)


EVERYTHING: Final = Access(None)
"""The access of the app's own work."""
UNLIMITED_ONLY: Final = Access(frozenset())
"""The access of somebody who is unknown: only customers that are not limited."""


def is_wider(before: CustomerLimit | None, after: CustomerLimit | None) -> bool:
    """Whether everybody who saw a customer with the limit before sees it with the one after."""
    if after is None or before is None:
        return after is None
    return {each.object_id for each in before} <= {each.object_id for each in after}
