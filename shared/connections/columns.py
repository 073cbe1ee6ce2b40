"""The columns of a kind's table as the instance describes them to the integration user, and the records to choose from.

An instance may refuse every source (ServiceNow §5.3), so "not known" is a normal answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from shared.connections.model import Connection, TicketKind
from shared.connections.options import Choice
from shared.value_object import value_object

MOST_SUGGESTIONS: Final = 20


@value_object
class Column:
    """A column as the instance describes it; None means that it does not say.

    Attributes:
        label: What ServiceNow's forms call it, in the language of the integration user.
        type: ServiceNow's internal type, such as ``string``, ``reference``, ``choice``, ``glide_date_time``.
        mandatory: Whether forms insist on a value. The REST API does not (ServiceNow §2.5).
        max_length: Characters that it holds.
        reference: The table whose records it refers to.
        choices: The values that it offers; None for a column without a list.
    """

    name: str
    label: str
    type: str | None = None
    mandatory: bool | None = None
    read_only: bool | None = None
    max_length: int | None = None
    reference: str | None = None
    choices: Sequence[Choice] | None = None


class InstanceColumns(Protocol):
    """What an instance says about its columns. Every method raises what every read raises."""

    async def columns(self, connection: Connection, kind: TicketKind) -> Mapping[str, Column] | None:
        """Return the columns of the kind's table by name, inherited ones included; None if they are not readable."""
        ...

    async def search(
        self, connection: Connection, table: str, text: str, *, exact: bool = False
    ) -> Sequence[Choice] | None:
        """Return up to 20 active records of a table by what people call them; None if the table is not readable.

        Args:
            text: Part of the name, ignoring case.
            exact: Only records with exactly this name, ignoring case.
        """
        ...
