"""How a figure is printed."""

from __future__ import annotations


def figure(name: str, measured: str, goal: str) -> str:
    """Return one line: what was measured, what came out, what was promised."""
    return f"{name:58} {measured:>24}   {goal}"
