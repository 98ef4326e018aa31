"""The page at `/`: its files, and what they need to know of the server."""

import json
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FILES = Path(__file__).parents[1] / "page"
# The page runs its own scripts, shows pictures that it made itself, and asks this server alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again by its ETag, so that a new server's page is seen
}


class _Page(StaticFiles):
    """The files with their headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD") and self.lookup_path(path)[1] is None:
            raise HTTPException(404)  # and not that the method is wrong, as for a file
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def page_routes(name: str, max_request_bytes: int) -> list[BaseRoute]:
    """Return the routes of the page, which take every path: they come last.

    Args:
        name: of the model, in paths.
        max_request_bytes: of one request's body.
    """
    server = json.dumps({"model": name, "max_request_bytes": max_request_bytes})

    async def describe_server(request: Request) -> Response:
        return Response(server, headers=_HEADERS, media_type="application/json")

    return [Route("/page.json", describe_server), Mount("/", _Page(directory=_FILES, html=True))]
