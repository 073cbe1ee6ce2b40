"""The sandbox's Functions host: Microsoft's Python worker code behind what the real host does on the wire.

Three ways to use it: a process (``python -m sandbox.functions_host``), an ASGI application in this process
(`host.FunctionsHost.start`), and either with a worker that can be killed (SIGUSR1, `host.FunctionsHost.kill_worker`).
``docs/functions-host.md`` says what it does and what it does not.
"""
