"""The sandbox's Functions host: Microsoft's Python worker code behind a host that acts like the real one on the wire.

Use it as a process (``python -m sandbox.functions_host``) or as an ASGI application in this process
(`host.FunctionsHost.start`). In both, the worker can be killed (SIGUSR1, `host.FunctionsHost.kill_worker`).
``docs/functions-host.md`` says what it does and what it does not.
"""
