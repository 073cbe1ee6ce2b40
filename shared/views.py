"""What callers see: the common base of all answers.

A model is built when it is first used, not when the app starts: no request needs them all.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer or a part of one."""

    model_config = ConfigDict(frozen=True, defer_build=True)
