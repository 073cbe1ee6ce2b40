"""What callers see: the common base of all answers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True)
