"""The document that clients are generated from, held to what the routes really are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, SecretStr

from api.app import create_app
from core.settings import ApiSettings, Settings
from tests.api.signing_in import Api

Json = dict[str, Any]


class Operation(NamedTuple):
    method: str
    path: str
    body: Json

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _app() -> FastAPI:
    settings = Settings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1/none"),
        redis_url=SecretStr("redis://127.0.0.1:1"),
        api=ApiSettings(docs=True),
    )
    return create_app(settings)


APP = _app()
DOCUMENT: Json = APP.openapi()
OPERATIONS = [
    Operation(method.upper(), path, body)
    for path, operations in DOCUMENT["paths"].items()
    for method, body in operations.items()
]
BELOW_API = [operation for operation in OPERATIONS if operation.path.startswith("/api/v1")]
NAMED = [  # the paths that architecture.md promises
    "POST /auth/register",
    "POST /auth/verify-email",
    "POST /auth/login",
    "POST /auth/refresh-token",
    "POST /auth/logout",
    "GET /users/profile",
    "PUT /users/profile",
    "DELETE /users/account",
    "GET /pets",
    "POST /pets",
    "GET /pets/{pet_id}",
    "PUT /pets/{pet_id}",
    "DELETE /pets/{pet_id}",
    "GET /health-records/pets/{pet_id}/records",
    "POST /health-records/pets/{pet_id}/records",
    "PUT /health-records/records/{record_id}",
    "GET /reminders",
    "POST /reminders",
    "GET /reminders/{reminder_id}",
    "PUT /reminders/{reminder_id}",
    "DELETE /reminders/{reminder_id}",
    "POST /reminders/preview",
    "GET /appointments",
    "POST /appointments",
    "PUT /appointments/{appointment_id}",
    "PATCH /appointments/{appointment_id}",
    "DELETE /appointments/{appointment_id}",
    "POST /integrations/calendar/sync",
    "GET /integrations/calendar/events",
]


def test_every_promised_path_is_there() -> None:
    present = {f"{operation.method} {operation.path.removeprefix('/api/v1')}" for operation in OPERATIONS}
    assert set(NAMED) <= present


def test_operation_ids_are_there_once_each() -> None:
    names = [operation.body["operationId"] for operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert all(operation.body.get("description") for operation in OPERATIONS)


@pytest.mark.parametrize("operation", BELOW_API, ids=str)
def test_refusals_are_problem_documents_and_none_is_forgotten(operation: Operation) -> None:
    answers = operation.body["responses"]
    refusals = {status: answer for status, answer in answers.items() if status >= "400"}
    expected = {"400", "405", "414", "429", "431", "503"}
    expected |= {"401"} if operation.body.get("security") else set()
    expected |= {"404"} if "{" in operation.path else set()
    expected |= {"413", "415", "422"} if "requestBody" in operation.body else set()
    assert expected <= refusals.keys()
    for status, answer in refusals.items():
        assert list(answer["content"]) == ["application/problem+json"], status
        assert answer["description"]


@pytest.mark.parametrize("operation", BELOW_API, ids=str)
def test_bodies_and_answers_have_examples(operation: Operation) -> None:
    for place, schema in _schemas(operation):
        assert schema.get("examples"), f"{place} of {operation} has no example"


def _schemas(operation: Operation) -> Iterator[tuple[str, Json]]:
    bodies = [("the body", operation.body["requestBody"])] if "requestBody" in operation.body else []
    bodies += [(status, answer) for status, answer in operation.body["responses"].items() if status[0] == "2"]
    for place, body in bodies:
        for content in body.get("content", {}).values():
            reference = content["schema"].get("$ref")
            if reference:
                yield place, DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]


def _models() -> list[type[BaseModel]]:
    routes: list[APIRoute] = [route for route in APP.state.api_routes if route.include_in_schema]
    kinds = {route.response_model for route in routes}
    kinds |= {route.body_field.field_info.annotation for route in routes if route.body_field}
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return sorted(models, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_examples_are_valid(model: type[BaseModel]) -> None:
    for example in (model.model_config.get("json_schema_extra") or {}).get("examples", []):  # type: ignore[union-attr]
        model.model_validate(example)


def test_conditional_and_repeatable_requests_say_so() -> None:
    change, create = DOCUMENT["paths"]["/api/v1/pets/{pet_id}"]["put"], DOCUMENT["paths"]["/api/v1/pets"]["post"]
    assert "If-Match" in [parameter["name"] for parameter in change["parameters"]]
    assert {"412", "200"} <= change["responses"].keys()
    assert "Idempotency-Key" in [parameter["name"] for parameter in create["parameters"]]
    assert {"Location", "ETag", "RateLimit"} <= create["responses"]["201"]["headers"].keys()
    read = DOCUMENT["paths"]["/api/v1/pets/{pet_id}"]["get"]
    assert "304" in read["responses"]


def test_no_schema_of_the_framework_is_left() -> None:
    assert not {"HTTPValidationError", "ValidationError"} & DOCUMENT["components"]["schemas"].keys()
    assert "HTTPValidationError" not in str(DOCUMENT["paths"])


async def test_the_page_needs_nothing_from_elsewhere(api: Api) -> None:
    page = await api.http.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype html>", "")
    assert "'unsafe-inline'" not in page.headers["content-security-policy"].split("style-src")[0]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        answer = await api.http.get(f"/docs/{asset}")
        assert answer.status_code == 200, asset
        assert len(answer.content) > 50
    assert (await api.http.get("/docs/../app.py")).status_code == 404
    assert (await api.http.get("/openapi.json")).json()["openapi"].startswith("3.1")
