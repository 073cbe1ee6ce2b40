"""The wire of Teams workflows and of signed webhooks; nothing else knows it (Webhooks §T1, §W1)."""
