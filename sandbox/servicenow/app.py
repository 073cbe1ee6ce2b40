"""A ServiceNow instance as one web application."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sandbox.servicenow.engine.instance import Instance
from sandbox.servicenow.stage.control.api import control_routes
from sandbox.servicenow.stage.faults.middleware import FaultMiddleware
from sandbox.servicenow.stage.request_log import RequestLogMiddleware
from sandbox.servicenow.stage.seed.demonstration import plant as plant_demonstration_data
from sandbox.servicenow.stage.simulator import Simulator
from sandbox.servicenow.wire.address_filter import AddressFilter
from sandbox.servicenow.wire.authentication import Authenticator
from sandbox.servicenow.wire.oauth import AuthorizationServer
from sandbox.servicenow.wire.pages.login import LoginPages
from sandbox.servicenow.wire.pages.tickets import AgentPages
from sandbox.servicenow.wire.rest.routes import rest_routes
from sandbox.servicenow.wire.sessions import SessionMiddleware


def create_app(instance: Instance, plant: Callable[[Instance], None] = plant_demonstration_data) -> Starlette:
    """Return `instance` as a web application: pages, OAuth, REST APIs and the control API under `/control`.

    `plant` fills the instance again when the control API resets its records too.
    """
    simulator = Simulator.of(instance, plant)
    authenticate = Authenticator(instance, simulator.tokens, simulator.rate_limits)
    login_pages = LoginPages(instance, simulator.sessions)
    return Starlette(
        routes=[
            *AuthorizationServer(instance, simulator.tokens, simulator.sessions).routes(),
            *login_pages.routes(),
            *AgentPages(instance, login_pages).routes(),
            *control_routes(simulator),
            *rest_routes(instance, authenticate),
        ],
        # Outermost first: faults come before the application, so their answers carry no cookies (ServiceNow §2.9).
        middleware=[
            Middleware(RequestLogMiddleware, log=simulator.log),
            Middleware(FaultMiddleware, faults=simulator.faults, held=simulator.held),
            Middleware(AddressFilter, records=instance.records),
            Middleware(SessionMiddleware, sessions=simulator.sessions, properties=instance.properties),
        ],
    )
