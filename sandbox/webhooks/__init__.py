"""Receivers of messages: Teams workflows and programs that check signed webhooks, from docs/reference/webhooks.md."""
