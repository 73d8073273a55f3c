"""The OpenAPI document: the headers each operation takes and gives and what it refuses, read off its dependencies."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.auth import current_user, leaving
from api.billing_services import billing_on
from api.etag import precondition
from api.idempotency import Once
from api.operations import OperationKey
from domain.access import OPERATIONS, Reach, Right

Need = Callable[..., Any] | None
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
_TEXT = {"schema": {"type": "string"}}
PARAMETERS = {
    "If-Match": "The ETag you read: 412 when the resource has changed since. Without it the last writer wins.",
    "If-None-Match": "The ETag you have: 304 while it is still the present one.",
    "Idempotency-Key": "One key has one effect, best a quoted UUID; repeated within 24 hours it gets the first answer.",
}
HEADERS = {
    "ETag": "What is shown, and its version: for If-Match and If-None-Match.",
    "Location": "Where what was made is found.",
    "Link": 'The next page, `rel="next"`.',
    "RateLimit": "What is left of the quota, and until when.",
    "RateLimit-Policy": "The quota and its window.",
    "Retry-After": "Seconds.",
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
                ),
                app.state.api_routes,
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _complete(document: dict[str, Any], routes: list[APIRoute]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for schema in schemas.values():
        _exemplify(schema, schemas)
    for route in routes:
        if route.include_in_schema:
            for method in route.methods or ():
                _describe(document["paths"][route.path_format][method.lower()], route, method)
    return document


def _exemplify(schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A page shows the example of its items."""
    items = schema.get("properties", {}).get("items", {}).get("items", {})
    example = schemas.get(str(items.get("$ref", "")).rpartition("/")[2], {}).get("examples")
    if example and "examples" not in schema:
        rest = {name: None for name in schema["properties"] if name != "items"}
        schema["examples"] = [{"items": example[:1], **rest}]


def _describe(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    """Add what this operation's dependencies read, and what middleware and error handlers answer."""
    needs, fields = set(_needs(route.dependant)), getattr(route.response_model, "model_fields", {})
    versioned = method == "GET" and "version" in fields and "{" in route.path_format
    asks = {
        "If-Match": precondition in needs,
        "If-None-Match": versioned,
        "Idempotency-Key": _is_once(needs),
    }
    for name, asked in asks.items():
        if asked:
            parameter = {"name": name, "in": "header", "required": False, "description": PARAMETERS[name], **_TEXT}
            operation.setdefault("parameters", []).append(parameter)
    knows_caller = _knows_caller(needs)
    gives = {
        "ETag": "version" in fields,
        "Location": "201" in operation["responses"],
        "Link": "next_cursor" in fields,
        "RateLimit": knows_caller,
        "RateLimit-Policy": knows_caller,
    }
    headers = {name: {"description": HEADERS[name], **_TEXT} for name, given in gives.items() if given}
    for status, answer in operation["responses"].items():
        if status.startswith("2") and headers:
            answer["headers"] = headers
    if versioned:
        operation["responses"]["304"] = {"description": "What you have is the present version."}
    _refusals(operation, route, method, needs)


def _is_once(needs: set[Need]) -> bool:
    return any(isinstance(need, Once | OperationKey) for need in needs)


def _refusals(operation: dict[str, Any], route: APIRoute, method: str, needs: set[Need]) -> None:
    # A route may name refusals of its own, or say better why it gives a usual one.
    own = {status: found["description"] for status, found in operation["responses"].items() if status in REASONS}
    own.pop("422", None)
    if OPERATIONS[str(route.operation_id)].fresh:
        own.setdefault("403", "`step_up_required`: prove first that it is you, now.")
    if billing_on in needs:
        own.setdefault("404", "It does not exist, or it is not yours; or this installation sells nothing.")
    for status in sorted(own.keys() | _statuses(operation, route, method, needs)):
        refusal: dict[str, Any] = {
            "description": own.get(status, REASONS[status]),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in ("429", "503"):
            refusal["headers"] = {"Retry-After": {"description": HEADERS["Retry-After"], **_TEXT}}
        operation["responses"][status] = refusal


def _statuses(operation: dict[str, Any], route: APIRoute, method: str, needs: set[Need]) -> set[str]:
    """Which refusals this operation can give."""
    path = route.path_format
    if not path.startswith("/api/v1"):
        return set()
    has_body = "requestBody" in operation
    acts = method == "POST" and (path.rpartition("/")[0].endswith("}") or "/integrations/" in path)
    rule = OPERATIONS[str(route.operation_id)]
    guarded = rule.reach == Reach.HOUSEHOLD and rule.right != Right.READ
    possible = {
        **dict.fromkeys(("400", "405", "414", "429", "431", "503"), True),
        "401": _knows_caller(needs),
        "403": rule.fresh or guarded or rule.reach == Reach.STAFF,
        "404": "{" in path or billing_on in needs or (has_body and rule.reach in (Reach.HOUSEHOLD, Reach.STAFF)),
        "409": _is_once(needs) or acts,
        "412": precondition in needs,
        "413": has_body,
        "415": has_body,
        "422": has_body or bool(operation.get("parameters")),
    }
    return {status for status, can in possible.items() if can}


def _knows_caller(needs: set[Need]) -> bool:
    return current_user in needs or leaving in needs


def _needs(dependant: Dependant) -> Iterator[Need]:
    """What an operation depends on, directly or not."""
    for needed in dependant.dependencies:
        yield needed.call
        yield from _needs(needed)
