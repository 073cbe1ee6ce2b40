"""How long to wait for a measurement."""

from __future__ import annotations

from datetime import timedelta

from shared.recommendations.products import product_name
from shared.value_object import value_object


@value_object
class WaitingTimes:
    """How long to wait before a missing fix is said, by how often Microsoft measures (Microsoft Graph §1.6).

    Attributes:
        default: After the closing, for most services.
        entra: For Microsoft Entra ID, which is measured once a week.
        teams: For Microsoft Teams, which is measured once a month.
        quiet: After a proof, before a loss of points is said.
    """

    default: timedelta = timedelta(hours=48)
    entra: timedelta = timedelta(days=8)
    teams: timedelta = timedelta(days=32)
    quiet: timedelta = timedelta(days=7)

    def after_closing(self, service: str) -> timedelta:
        """Return how long to wait for a measurement of a service.

        Args:
            service: Microsoft's code of the product.
        """
        by_product = {"Microsoft Entra ID": self.entra, "Microsoft Teams": self.teams}
        return by_product.get(product_name(service), self.default)
