"""What an instance does: it keeps records, answers queries and runs its rules. No HTTP here."""
