"""Apps for the host to serve, each the text of a ``function_app.py``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEADER = """
import asyncio, json, logging, os, sys, threading, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def tell(req, **more):
    seen = {
        "function": sys._getframe(1).f_code.co_name,
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen | more), mimetype="application/json")
"""


def routed(*functions: tuple[str, str | None, str | None]) -> str:
    """Write an app of functions (name, route, methods) that answer with what they saw; None omits the argument."""
    text = HEADER
    for name, route, methods in functions:
        arguments = [f"route={route!r}"] if route is not None else []
        arguments += [f"methods={methods.split()!r}"] if methods is not None else []
        text += f"\n@app.route({', '.join(arguments)})\nasync def {name}(req: func.HttpRequest) -> func.HttpResponse:\n"
        text += "    return tell(req)\n"
    return text


def write_app(directory: Path, text: str, host_json: Mapping[str, Any] | str | None = None) -> Path:
    """Write an app to a folder; ``host_json`` is the file's content, or its text to make it malformed."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "function_app.py").write_text(textwrap.dedent(text), encoding="utf-8")
    if host_json is not None:
        content = host_json if isinstance(host_json, str) else json.dumps({"version": "2.0", **host_json})
        (directory / "host.json").write_text(content, encoding="utf-8")
    return directory


ROUTING = routed(
    ("a_rest", "l/{*rest}", "GET"),
    ("b_param", "l/{x}", "GET"),
    ("d_lit", "l/new", "GET"),
    ("lit", "m/new", "GET"),
    ("lit_p", "m/{x}", "GET"),
    ("lit_rest", "m/{*rest}", "GET"),
    ("i_any", "i2/{x}", "GET"),
    ("i_int", "i2/{x:int}", "GET"),
    ("sm_get", "sm", "GET"),
    ("sm_post", "sm", "POST"),
    ("sp_get", "sp/{id}", "GET"),
    ("sp_post", "sp/{other}", "POST"),
    ("over_a", "over", "GET"),
    ("over_b", "OVER", "GET POST"),
    ("over_c", "anything", "GET"),
    ("ov_x", "ov/{x}", "GET"),
    ("ov_y", "ov/{y}", "GET"),
    ("all_methods", "all", None),
    ("only_get", "only", "GET"),
    ("NamedRoute", None, "GET"),
    ("empty_route", "", "GET"),
    ("p", "p/{x}", "GET"),
    ("r", "r/{*rest}", "GET"),
    ("optional", "o/{x?}", "GET"),
    ("default", "d/{x=hello}", "GET"),
    ("integer", "int/{x:int}", "GET"),
    ("identifier", "guid/{x:guid}", "GET"),
    ("truth", "bool/{x:bool}", "GET"),
    ("letters", "alpha/{x:alpha}", "GET"),
    ("three", "len/{x:length(3)}", "GET"),
    ("maybe_int", "mi/{x:int?}", "GET"),
    ("expression", "regex/{x:regex(^[a-z]{{2,3}}$)}", "GET"),
    ("double_star", "ss/{**rest}", "GET"),
    ("mixed", "mix/{a}-{b}.{ext}", "GET"),
    ("administration_page", "administration", "GET"),
    ("runtime_page", "Runtimes/x", "GET"),
    ("setting", "%NAME%/x", "GET"),
    ("spaced", "with space", "GET"),
    ("japanese", "日本", "GET"),
    ("percent", "pc%20x", "GET"),
)

BEHAVIOUR = (
    HEADER
    + r'''
@app.route(route="echo/{*rest}")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return tell(req)

@app.route(route="form", methods=["POST"])
async def form(req: func.HttpRequest) -> func.HttpResponse:
    files = {n: [f.filename, f.mimetype, f.read().decode("latin-1")] for n, f in req.files.items()}
    return tell(req, form={n: req.form.getlist(n) for n in req.form}, files=files)

@app.route(route="json", methods=["POST"])
async def reads_json(req: func.HttpRequest) -> func.HttpResponse:
    try:
        return func.HttpResponse(json.dumps({"json": req.get_json()}))
    except ValueError:
        return func.HttpResponse("ValueError")

@app.route(route="context")
async def shows_context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return tell(req, invocation_id=context.invocation_id, name=context.function_name,
                directory=context.function_directory, traceparent=context.trace_context.Traceparent)

@app.route(route="answer", methods=["GET", "HEAD", "POST"])
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    """Answer as the JSON of the query's ``spec`` says; ``add`` is a list of headers added one by one."""
    spec = json.loads(req.params.get("spec", "{}"))
    body = spec.get("body")
    arguments = {key: spec[key] for key in ("status_code", "headers", "mimetype", "charset") if key in spec}
    if isinstance(body, int):
        body = b"x" * body
    response = func.HttpResponse(body, **arguments)
    for name, value in spec.get("add", []):
        response.headers.add(name, value)
    return response

RESULTS = {"bytes": b"x", "none": None, "dict": {"a": 1}, "int": 5, "list": [1], "tuple": (1, 2)}

@app.route(route="return/{kind}")
async def returns(req: func.HttpRequest):
    return RESULTS[req.route_params["kind"]]

@app.route(route="text", methods=["POST"])
async def returns_text(req: func.HttpRequest) -> str:
    return req.get_body().decode()

@app.route(route="response-of-dict")
async def response_of_dict(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse({"a": 1})

@app.route(route="raise")
async def raises(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the secret reason")

@app.route(route="loud/{*rest}", methods=["POST"])
async def loud(req: func.HttpRequest) -> func.HttpResponse:
    text = req.get_body().decode()
    logging.getLogger("app").warning("logged %s", text)
    print("printed", text)
    print("printed as an error", text, file=sys.stderr)
    raise RuntimeError("raised " + text)

@app.route(route="exit/{how}")
def exits(req: func.HttpRequest) -> func.HttpResponse:
    if req.route_params["how"] == "system":
        sys.exit(3)
    raise KeyboardInterrupt

@app.route(route="key/function", auth_level=func.AuthLevel.FUNCTION)
async def needs_key(req: func.HttpRequest) -> func.HttpResponse:
    return tell(req)

@app.route(route="key/other", auth_level=func.AuthLevel.FUNCTION, methods=["GET"])
async def needs_other_key(req: func.HttpRequest) -> func.HttpResponse:
    return tell(req)

@app.route(route="key/admin", auth_level=func.AuthLevel.ADMIN)
async def needs_master(req: func.HttpRequest) -> func.HttpResponse:
    return tell(req)

STARTED = []

@app.route(route="state")
async def state(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"started": STARTED, "pid": os.getpid(), "cwd": os.getcwd(),
        "module": __name__, "thread": threading.current_thread().name,
        "environment": {k: v for k, v in os.environ.items() if k.startswith(("FUNCTIONS_", "PYTHON_", "WEBSITE_"))}}))

@app.route(route="sync/{seconds}")
def sync_sleep(req: func.HttpRequest) -> func.HttpResponse:
    STARTED.append("sync")
    time.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse(threading.current_thread().name)

@app.route(route="async/{seconds}")
async def async_sleep(req: func.HttpRequest) -> func.HttpResponse:
    STARTED.append("async began")
    await asyncio.sleep(float(req.route_params["seconds"]))
    STARTED.append("async ended")
    return func.HttpResponse("slept")

def is_released(req: func.HttpRequest) -> bool:
    return os.path.exists(req.params["file"])

@app.route(route="until/sync")
def sync_until(req: func.HttpRequest) -> func.HttpResponse:
    STARTED.append("sync")
    while not is_released(req):
        time.sleep(0.02)
    return func.HttpResponse(threading.current_thread().name)

@app.route(route="until/async")
async def async_until(req: func.HttpRequest) -> func.HttpResponse:
    STARTED.append("async began")
    while not is_released(req):
        await asyncio.sleep(0.02)
    STARTED.append("async ended")
    return func.HttpResponse("waited")

@app.route(route="until/blocked")
async def blocked_until(req: func.HttpRequest) -> func.HttpResponse:
    open(req.params["file"] + ".began", "w").close()
    while not is_released(req):
        time.sleep(0.02)
    return func.HttpResponse("blocked")

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def yearly(timer: func.TimerRequest) -> None:
    STARTED.append({"past_due": timer.past_due, "status": timer.schedule_status, "schedule": timer.schedule})

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
async def failing(timer: func.TimerRequest) -> None:
    STARTED.append("failing")
    raise RuntimeError("the timer's reason")
'''
)
