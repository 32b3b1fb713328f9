"""The site as an application: paths to pages, and what went wrong to a page that says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headroom.errors import HeadroomError, StoreError, UsageError
from headroom.report.html.page import plain_page
from headroom.report.serve import pages, stairs
from headroom.report.serve.asked import Asked, NotThere, checked_id
from headroom.report.serve.guard import Guard
from headroom.report.serve.page import Page
from headroom.store.choose import named
from headroom.store.current import CurrentStores
from headroom.store.rows import System
from headroom.store.several import Stores

#: Pages that are made at the same time; the others wait for their turn.
AT_ONCE = 4

Make = Callable[[Stores, Request], Page]


def make_app(stores: CurrentStores, guard: Callable[[Starlette], Guard]) -> Guard:
    """The site over ``stores``, behind ``guard``."""
    limiter = CapacityLimiter(AT_ONCE)

    def route(path: str, make: Make) -> Route:
        async def answer(request: Request) -> Response:
            work = partial(_answer, make, stores, request)
            return await to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)

        return Route(path, answer, methods=["GET"])

    app = Starlette(
        routes=[
            route("/", lambda stores, request: pages.systems_page(stores)),
            route("/models", lambda stores, request: pages.models_page(stores)),
            route("/systems/{system}", _system),
            route("/systems/{system}/staircases", _staircases),
            route("/systems/{system}/chains/{chain}", _chain),
        ],
        exception_handlers={404: _no_page},
    )
    # A slash too many is no other page, and an address that is sent back is one to be led astray by.
    app.router.redirect_slashes = False
    return guard(app)


def _system(stores: Stores, request: Request) -> Page:
    system = _asked_system(stores, request)
    return pages.system_page(stores, system, Asked.read(request.query_params))


def _staircases(stores: Stores, request: Request) -> Page:
    system = _asked_system(stores, request)
    return stairs.staircases_page(stores, system, Asked.read(request.query_params))


def _chain(stores: Stores, request: Request) -> Page:
    system = _asked_system(stores, request)
    return pages.chain_page(stores, system, checked_id(request.path_params["chain"]))


def _asked_system(stores: Stores, request: Request) -> System:
    name, known = checked_id(request.path_params["system"]), stores.systems()
    try:
        return named(known, name, stores.name)
    except StoreError as error:
        raise NotThere(str(error)) from error


def _answer(make: Make, stores: CurrentStores, request: Request) -> Response:
    try:
        return _response(make(stores.now(), request))
    except UsageError as error:
        return _response(pages.message_page("That is no question", str(error)), 400)
    except NotThere as error:
        return _response(pages.message_page("Not there", str(error)), 404)
    except StoreError as error:
        return _response(pages.message_page("The database cannot be read", str(error)), 503)
    except HeadroomError as error:
        return _response(pages.message_page("It did not work", str(error)), 500)
    except Exception:
        logging.getLogger(__name__).exception("a page failed")
        return _response(pages.message_page("It did not work", "The site's own log says why."), 500)


async def _no_page(request: Request, error: Exception) -> Response:
    return _response(pages.message_page("Not there", "There is no such page here."), 404)


def _response(page: Page, status: int = 200) -> Response:
    text, policy = plain_page("served.html.j2", page=page)
    # What a page may be framed by can be said in a header only.
    headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
    return Response(text, status, headers, media_type="text/html")
