"""What lies under which path, beside the page, which gets every path that these do not take."""

import json

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serving.server.core import Core
from serving.server.metrics import Metrics
from serving.server.rest import RestApi

METRICS_PATH = "/monitoring/prometheus/metrics"
HEALTH_PATH = "/healthz"


def make_routes(core: Core, metrics: Metrics, rest: RestApi) -> list[BaseRoute]:
    """Return the routes of the HTTP server, the first that fits counts."""

    async def show_metrics(request: Request) -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def show_health(request: Request) -> Response:
        content = json.dumps({"status": "ok" if core.ready else "stopping"})
        return Response(content, 200 if core.ready else 503, media_type="application/json")

    return [
        # TF Serving's paths do not mind the case of letters.
        Route("/v1/{path:path}", rest),
        Route("/V1/{path:path}", rest),
        Route(METRICS_PATH, show_metrics),
        Route(HEALTH_PATH, show_health),
    ]
