"""An instance with a new address: its tickets move along, but only once it is proved to be the same instance.

The person who changes the address claims that; the claim is stored as ``renamed_from``. The next authorization proves
it by finding the records of our tickets at the new address. Until then the tickets are dormant, as with any other
instance. No ticket's row is rewritten: a connection knows the former addresses of its instances.
"""

from __future__ import annotations

from dataclasses import replace

from shared.connections.model import Connection


def proved_address(connection: Connection) -> str:
    """Return the last proved address of the connection's instance."""
    return connection.renamed_from or connection.instance


def with_address(connection: Connection, instance: str, same_instance: bool | None) -> Connection:
    """Return the connection with this address.

    Args:
        same_instance: Whether a person claims that it is the same instance at a new address; None leaves a claim about
            the present address as it is.
    """
    before = proved_address(connection)
    if instance == before:
        return replace(connection, instance=instance, renamed_from=None)
    if same_instance is None and instance == connection.instance:
        return connection
    if same_instance:
        return replace(connection, instance=instance, renamed_from=before)
    # Even if this address belonged to another instance before, it is now a separate one.
    former = {address: now for address, now in connection.former_instances.items() if address != instance}
    return replace(connection, instance=instance, renamed_from=None, former_instances=former)


def renamed(connection: Connection) -> Connection:
    """Return the connection after its claim was proved; without a claim it is returned unchanged."""
    before, present = connection.renamed_from, connection.instance
    if before is None:
        return connection
    former = {
        address: present if now == before else now
        for address, now in connection.former_instances.items()
        if address != present
    }
    return replace(connection, renamed_from=None, former_instances={**former, before: present})
