"""Everything that the connector says to people, in every language there is a file for; nothing below imports it."""
