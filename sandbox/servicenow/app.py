"""A ServiceNow instance as one web application."""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sandbox.servicenow.authentication import Authenticator
from sandbox.servicenow.faults import FaultMiddleware, Faults
from sandbox.servicenow.instance import Instance
from sandbox.servicenow.login_pages import LoginPages
from sandbox.servicenow.oauth import AuthorizationServer
from sandbox.servicenow.rate_limits import RateLimits
from sandbox.servicenow.request_log import RequestLog, RequestLogMiddleware
from sandbox.servicenow.rest_api import rest_routes
from sandbox.servicenow.sessions import SessionMiddleware, Sessions
from sandbox.servicenow.tokens import Tokens


@dataclass(frozen=True)
class Simulator:
    """An instance and everything that stands between it and its callers."""

    instance: Instance
    tokens: Tokens
    sessions: Sessions
    faults: Faults
    rate_limits: RateLimits
    log: RequestLog

    @classmethod
    def of(cls, instance: Instance) -> "Simulator":
        """Return the parts around `instance`."""
        clock = instance.clock
        return cls(instance, Tokens(instance), Sessions(clock), Faults(clock), RateLimits(clock), RequestLog(clock))


def create_app(instance: Instance) -> Starlette:
    """Return `instance` as a web application: pages, OAuth, REST APIs and the control API under `/control`."""
    simulator = Simulator.of(instance)
    authenticate = Authenticator(instance, simulator.tokens, simulator.rate_limits)
    login_pages = LoginPages(instance, simulator.sessions)
    return Starlette(
        routes=[
            *AuthorizationServer(instance, simulator.tokens, simulator.sessions).routes(),
            *login_pages.routes(),
            *rest_routes(instance, authenticate),
        ],
        # Outermost first: a fault stands before the application, so its answers carry no cookies (wire document 2.9).
        middleware=[
            Middleware(RequestLogMiddleware, log=simulator.log),
            Middleware(FaultMiddleware, faults=simulator.faults),
            Middleware(SessionMiddleware, sessions=simulator.sessions, properties=instance.properties),
        ],
    )
