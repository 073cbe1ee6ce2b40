"""The functions that the app registers; the library returns them only once in a process."""

from __future__ import annotations

from functools import cache

from azure.functions.decorators.function_app import Function

import function_app


@cache
def functions() -> tuple[Function, ...]:
    """Return every function of the app."""
    return tuple(function_app.app.get_functions())
