"""Swagger UI from our own server: no content delivery network, and closed under production settings."""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from core.errors import NotFound

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


def docs_router() -> APIRouter:
    """The page and its files. Raises `RuntimeError` where the package with the files is missing."""
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RuntimeError("PETFOLIO_API__DOCS needs the package swagger-ui-py: `make env` installs it")
    folder = Path(spec.origin).parent / "static"
    router = APIRouter(include_in_schema=False)

    @router.get("/docs", operation_id="docs_page")
    async def page() -> HTMLResponse:
        """The page."""
        return HTMLResponse(PAGE, headers=DOCS_CSP)

    @router.get("/docs/start.js", operation_id="docs_script")
    async def start() -> Response:
        """The one line of script; in a file because the policy allows no inline scripts."""
        return Response(START, media_type="text/javascript")

    @router.get("/docs/{asset}", operation_id="docs_asset")
    async def asset(asset: str) -> FileResponse:
        """Swagger UI's own files."""
        if asset not in ASSETS:
            raise NotFound("there is nothing here")
        return FileResponse(folder / asset)

    return router
