"""The OpenAPI document: every operation documents its refusals as problem documents; Swagger UI from our own server."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse

from core.errors import NotFound

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is stable; `detail` is for people.",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id."},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON pointer (RFC 6901) into the body."},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
REASONS = {
    "400": "Not readable: malformed JSON, a bad cursor, entity tag or idempotency key.",
    "401": "No valid access token, or its session has ended.",
    "403": "You may see it and may not do this.",
    "404": "It does not exist, or it is not yours.",
    "405": "The path has other methods; `Allow` names them.",
    "409": "Its present state does not allow this, or the same Idempotency-Key is still at work.",
    "412": "It was changed since the ETag you sent.",
    "413": "The body is larger than 1 MiB.",
    "414": "The address is longer than 8 KiB.",
    "415": "Bodies are application/json.",
    "422": "Understood, and refused for what it says; `errors` names the fields.",
    "429": "Too many requests; `Retry-After` says when.",
    "431": "The headers are larger than 16 KiB.",
    "503": "Something we depend on is away or full; `Retry-After` says when to come back.",
}
ASSETS = ("swagger-ui-bundle.js", "swagger-ui.css")
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Petfolio API</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="stylesheet" href="docs/swagger-ui.css">
</head><body><div id="ui"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
</body></html>"""
START = "SwaggerUIBundle({url: '/openapi.json', dom_id: '#ui', deepLinking: true, persistAuthorization: true});"
DOCS_CSP = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
}


def install(app: FastAPI) -> None:
    """Replace FastAPI's generator by one that adds what it cannot know."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(
                    title="Petfolio",
                    version="1",
                    description="Keeps pets' lives on time. Errors are RFC 9457 problem documents, lists are paged by "
                    "cursor, single resources carry an ETag, POSTs take an Idempotency-Key.",
                    routes=app.routes,
                )
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def docs_router() -> APIRouter:
    """Swagger UI without a content delivery network; closed under production settings."""
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RuntimeError("PETFOLIO_API__DOCS needs the package swagger-ui-py: `make env` installs it")
    folder = Path(spec.origin).parent / "static"
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page() -> HTMLResponse:
        """The page."""
        return HTMLResponse(PAGE, headers=DOCS_CSP)

    @router.get("/docs/start.js")
    async def start() -> Response:
        """The one line of script; in a file because the policy allows no inline scripts."""
        return Response(START, media_type="text/javascript")

    @router.get("/docs/{asset}")
    async def asset(asset: str) -> FileResponse:
        """Swagger UI's own files."""
        if asset not in ASSETS:
            raise NotFound("there is nothing here")
        return FileResponse(folder / asset)

    return router


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            # A route may name refusals of its own, or say better why it gives a usual one.
            own = {status: found["description"] for status, found in operation["responses"].items() if status != "422"}
            for status in sorted({*_statuses(path, method, operation), *(own.keys() & REASONS.keys())}):
                operation["responses"][status] = {
                    "description": own.get(status, REASONS[status]),
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
    return document


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    """Which refusals this operation can give, from its shape."""
    if not path.startswith("/api/v1"):
        return []
    found = {"400", "405", "414", "429", "431", "503"}
    if operation.get("security"):
        found |= {"401"}
    if "{" in path:
        found |= {"404"}
    if operation.get("requestBody"):
        found |= {"413", "415", "422"}
    if operation.get("parameters"):
        found |= {"422"}
    if method == "post":
        found |= {"409"}
    if method in ("put", "patch", "delete"):
        found |= {"403", "409", "412"}
    return sorted(found)
