"""Reminders: a weekly digest and urgent messages to where an administrator wants them, from an outbox."""
