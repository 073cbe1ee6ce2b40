"""An instance under a new address: its tickets go along, but only once it has been proved to be the same instance.

A person says so when the address is changed; that is a claim, kept as ``renamed_from``. The next authorization proves
it by finding records of our tickets at the new address. Until then the tickets are dormant, as on any other instance.
No ticket's row is rewritten: a connection knows the addresses that its instances had before.
"""

from __future__ import annotations

from dataclasses import replace

from shared.connections.model import Connection


def proved_address(connection: Connection) -> str:
    """Return the address under which the connection's instance is known for certain."""
    return connection.renamed_from or connection.instance


def with_address(connection: Connection, instance: str, same_instance: bool | None) -> Connection:
    """Return the connection at this address.

    Args:
        same_instance: Whether it is said to be the instance known before, under a new address; None leaves a claim
            about the present address as it is.
    """
    before = proved_address(connection)
    if instance == before:
        return replace(connection, instance=instance, renamed_from=None)
    if same_instance is None and instance == connection.instance:
        return connection
    if same_instance:
        return replace(connection, instance=instance, renamed_from=before)
    # Whatever this address stood for before, now it is an instance of its own.
    former = {address: now for address, now in connection.former_instances.items() if address != instance}
    return replace(connection, instance=instance, renamed_from=None, former_instances=former)


def renamed(connection: Connection) -> Connection:
    """Return the connection after its claim was proved; one without a claim stays as it is."""
    before, present = connection.renamed_from, connection.instance
    if before is None:
        return connection
    former = {
        address: present if now == before else now
        for address, now in connection.former_instances.items()
        if address != present
    }
    return replace(connection, renamed_from=None, former_instances={**former, before: present})
