"""The query options of OData that Graph supports."""
