"""ServiceNow: its OAuth endpoints, its Table API, its field names. Nothing outside this package knows them.

:class:`shared.servicenow.client.ServiceNowClient` is the way in.
"""
