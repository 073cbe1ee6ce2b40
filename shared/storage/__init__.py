"""Table Storage and Key Vault, behind the ports of tickets and connections."""
