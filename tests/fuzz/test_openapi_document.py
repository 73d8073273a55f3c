"""What a machine makes of the OpenAPI document: no 5xx, no answer that the document does not describe, nothing of one
person for another. `make fuzz` looks for ten minutes where nobody looked before; `make test` repeats itself."""

import asyncio
import json
import os
import sys
from pathlib import Path

from core.db import Database
from core.settings import Settings
from tests.api.signing_in import OPEN, Api, Person, api_process
from tests.api.test_process import api_server
from tests.conftest import EXPLORE

SECONDS = int(os.environ.get("PETFOLIO_FUZZ_SECONDS", "50"))
ENDS_SESSIONS = "logout logout_all end_session end_other_sessions request_erasure".split()
"""Left out: their success would be the end of the run. Each has tests of its own."""
NOT_EVERY_PET_HAS_ONE = "get_tag get_tag_qr_svg get_tag_qr_png get_search".split()
"""A pet that was just made has no tag and is not missing: 404 is right."""
PHASES = {"examples,coverage,fuzzing": 0.6, "stateful": 0.4}
"""Each phase with its share of the time."""
CHECKS = (
    "not_a_server_error status_code_conformance content_type_conformance response_schema_conformance "
    "unsupported_method allow_header_conformance use_after_free ensure_resource_availability ignored_auth "
    "object_level_authorization"
).split()
"""Named in the file: those of the command line would win over the exception for an operation."""


async def test_the_api_answers_as_its_document_says_and_nobody_reads_anothers_things(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    roomy = settings.model_copy(
        update={"rate_limits": OPEN, "auth": settings.auth.model_copy(update={"access_token_seconds": 86_400})}
    )
    limits = {f"PETFOLIO_RATE_LIMITS__{name.upper()}": limit.model_dump_json() for name, limit in OPEN}
    # Nobody reads what the process says: a line a request would fill the pipe and stop it.
    limits["PETFOLIO_LOG_LEVEL"] = "warning"
    async with (
        api_process(roomy) as beside,
        api_server(settings, PETFOLIO_API__DOCS="true", PETFOLIO_AUTH__ACCESS_TOKEN_SECONDS="86400", **limits) as (
            _,
            api,
        ),
    ):
        alice, bob = await beside.person(), await beside.person()
        for person in (alice, bob):
            await furnish(beside, person)
        (tmp_path / "auth.wfc.json").write_text(json.dumps({"auth": [entry("alice", alice), entry("bob", bob)]}))
        (tmp_path / "schemathesis.toml").write_text(
            '[auth.wfc]\npath = "auth.wfc.json"\nuser = "alice"\npeers = ["alice", "bob"]\n'
            + "".join(["[checks]\nenabled = false\n", *(f"{name}.enabled = true\n" for name in CHECKS)])
            + f"[[operations]]\ninclude-operation-id = {json.dumps(NOT_EVERY_PET_HAS_ONE)}\n"
            "checks.ensure_resource_availability.enabled = false\n"
        )
        for phases, share in PHASES.items():
            await fuzz(f"{api.base_url}/openapi.json", phases, max(5, round(SECONDS * share)), tmp_path)


async def fuzz(document: str, phases: str, seconds: int, folder: Path) -> None:
    """One run of schemathesis, which must find nothing."""
    left_out = [option for name in ENDS_SESSIONS for option in ("--exclude-operation-id", name)]
    run = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(folder / "schemathesis.toml")),
        *("run", document, "--phases", phases, "--max-time", str(seconds)),
        *("--no-color", "--generation-database", "none", "--warnings", "off"),
        *(() if EXPLORE else ("--seed", "4711")),
        *left_out,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await run.communicate()
    assert run.returncode == 0, said.decode()[-20_000:]


def entry(name: str, person: Person) -> dict[str, object]:
    """A person of the Web Fuzzing Commons file."""
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {person.access_token}"}]}


async def furnish(api: Api, person: Person) -> None:
    """Something of one's own that another must not read."""
    pet = (await person.request("POST", "/pets", {"name": "Milo", "species": "cat"})).json()
    record = {"record_type": "visit", "title": "Check-up", "date_administered": "2026-11-01"}
    assert (await person.request("POST", f"/health-records/pets/{pet['id']}/records", record)).status_code == 201
    reminder = {"title": "Tablet", "pet_id": pet["id"], "reminder_date": "2036-06-01T08:00", "repeat_interval": "daily"}
    assert (await person.request("POST", "/reminders", reminder)).status_code == 201
    tag = (await person.request("PUT", f"/pets/{pet['id']}/tag", {})).json()
    assert (await person.request("POST", f"/pets/{pet['id']}/lost", {})).status_code == 201
    assert (await api.post(f"/p/{tag['code']}/sightings", {"message": "She sits below our car."})).status_code == 204
