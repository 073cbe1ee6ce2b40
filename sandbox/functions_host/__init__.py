"""The sandbox's Functions host: Microsoft's Python worker code behind what the real host does on the wire.

Three ways to use it: a process (``python -m sandbox.functions_host``), an ASGI application in this process
(`FunctionsHost.start`), and with a worker that can be killed (`FunctionsHost.kill_worker`, SIGUSR1 for the process).
``docs/functions-host.md`` says what it does and what it does not.
"""

from sandbox.functions_host.authentication import AuthenticationOptions, DaemonApplication, Person, Tenant
from sandbox.functions_host.host import FunctionFailedError, FunctionsHost
from sandbox.functions_host.server import Server

__all__ = [
    "AuthenticationOptions",
    "DaemonApplication",
    "FunctionFailedError",
    "FunctionsHost",
    "Person",
    "Server",
    "Tenant",
]
