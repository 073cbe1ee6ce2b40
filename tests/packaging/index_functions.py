"""Runs in a bare interpreter: imports ``function_app`` from a given search path and prints its functions as JSON.

The standard library comes last, which is harmless. Nothing else is on the path, so a package that the requirements lack
is missing here as in Azure.
"""

from __future__ import annotations

import importlib
import json
import sys


def main() -> None:
    """Print ``shared``, the file of that package, and ``functions``: each route by name, null for a timer."""
    sys.path[:0] = json.loads(sys.argv[1])
    function_app = importlib.import_module("function_app")
    functions = {
        function.get_function_name(): function.get_trigger().get_dict_repr().get("route")
        for function in function_app.app.get_functions()
    }
    print(json.dumps({"shared": sys.modules["shared"].__file__, "functions": functions}))


if __name__ == "__main__":
    main()
