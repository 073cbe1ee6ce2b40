"""Microsoft Graph's wire; nothing outside this package knows it (``docs/reference/microsoft-graph.md``)."""
