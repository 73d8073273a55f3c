"""Every operation × every kind of caller, with real requests on a prepared household, against `domain/access.py`.

A route without an example (`access_examples.py`) fails here, as one without a rule keeps the api from starting.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from core.settings import Settings
from domain.access import OPERATIONS, Reach, Rule
from tests.api.access_examples import EXAMPLES, MAKERS
from tests.api.access_ground import ACCESS, CANARY, UNKNOWN, Caller, Example, Ground
from tests.api.signing_in import OPEN, Api

_NAMED: Final = re.compile(r"\{(\w+)\}")
_STAFF: Final = frozenset({Caller.OPERATOR, Caller.ADMIN})


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


def expected(rule: Rule, example: Example, caller: Caller) -> frozenset[int]:
    """What the table says this caller is answered: 401 unknown, 404 may not know of it, 403 may see and not do it."""
    if rule.reach is Reach.ANYONE:
        return example.answers
    if caller in UNKNOWN:
        return frozenset({401})
    if rule.reach is Reach.SIGNED_IN or example.names_nothing:
        return example.answers
    if rule.reach is Reach.STAFF:
        return example.answers if caller in _STAFF else frozenset({403, 404})
    if caller not in ACCESS:
        return frozenset({404})
    assert rule.right is not None
    return example.answers if ACCESS[caller].may(rule.right) else frozenset({403})


def changes_something(example: Example, statuses: frozenset[int]) -> bool:
    """Whether whoever comes next needs a household of their own."""
    return example.method != "GET" and not statuses <= {401, 403, 404}


def named(value: object) -> Iterator[str]:
    """The things that a path or a body names."""
    match value:
        case str():
            yield from _NAMED.findall(value)
        case dict():
            for inner in value.values():
                yield from named(inner)
        case list():
            for inner in value:
                yield from named(inner)


def filled(value: Any, things: Mapping[str, str]) -> Any:
    """The path or body with these ids in place of names."""
    match value:
        case str():
            return _NAMED.sub(lambda name: things[name[1]], value)
        case dict():
            return {key: filled(inner, things) for key, inner in value.items()}
        case list():
            return [filled(inner, things) for inner in value]
        case _:
            return value


async def ask(ground: Ground, example: Example, token: str | None, **others: str) -> httpx.Response:
    """The request, on the things of this household except for the `others`."""
    for name in (*named(example.path), *named(example.body)):
        await ground.make(name)
    things = ground.things | others
    return await ground.send(example.method, filled(example.path, things), filled(example.body, things), token)


async def test_every_operation_has_an_example_of_its_own_route(app: FastAPI, api: Api) -> None:
    routes = {route.operation_id: route for route in app.state.api_routes}
    missing = sorted(routes.keys() - EXAMPLES.keys())
    assert not missing, f"add an example request to tests/api/access_examples.py: {missing}"
    assert not (gone := sorted(EXAMPLES.keys() - routes.keys())), f"no such operation any more: {gone}"
    ground = await Ground.prepare(api, MAKERS)
    for operation, example in EXAMPLES.items():
        for name in named(example.path):
            await ground.make(name)
        path = filled(example.path, ground.things).partition("?")[0]
        path = path[1:] if path.startswith("//") else f"/api/v1{path}"
        assert routes[operation].path_regex.match(path), f"{operation} is at {routes[operation].path}, not {path}"
        assert example.method in routes[operation].methods, operation


@pytest.mark.parametrize("operation", EXAMPLES)
async def test_who_may_do_it_is_what_the_table_says(api: Api, operation: str) -> None:
    rule, example = OPERATIONS[operation], EXAMPLES[operation]
    ground = await Ground.prepare(api, MAKERS)
    for caller in Caller:
        allowed = expected(rule, example, caller)
        answer = await ask(ground, example, await ground.token(caller))
        assert answer.status_code in allowed, f"{caller}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code in (401, 403, 404) or (example.names_nothing and caller not in ACCESS):
            assert CANARY not in answer.text
            assert str(ground.household_id) not in answer.text
        if changes_something(example, allowed):
            ground = await Ground.prepare(api, MAKERS)
    if rule.fresh:
        answer = await ask(ground, example, await ground.stale_token())
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up_required")


@pytest.mark.parametrize(
    "operation",
    [name for name, each in EXAMPLES.items() if len([*named(each.path), *named(each.body)]) > 1],
)
async def test_the_things_of_others_are_not_found_under_what_is_one_s_own(api: Api, operation: str) -> None:
    """`/households/{mine}/invitations/{theirs}` (OWASP API1): each id counts, not the first one alone."""
    example = EXAMPLES[operation]
    mine, theirs = await Ground.prepare(api, MAKERS), await Ground.prepare(api, MAKERS)
    for name in dict.fromkeys((*named(example.path), *named(example.body))):
        answer = await ask(mine, example, await mine.token(Caller.OWNER), **{name: await theirs.make(name)})
        assert answer.status_code == 404, f"{name} of others: {answer.status_code} {answer.text[:300]}"


def test_the_matrix_would_notice() -> None:
    """The check itself: a rule that lets too many in expects something else."""
    example = EXAMPLES["delete_pet"]
    rule = OPERATIONS["delete_pet"]
    assert expected(rule, example, Caller.CARETAKER) == {403}
    assert expected(rule, example, Caller.STRANGER) == {404}
    assert expected(OPERATIONS["get_pet"], EXAMPLES["get_pet"], Caller.CARETAKER) == example.answers
