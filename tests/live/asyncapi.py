"""`docs/asyncapi.yaml`, and what it says an event looks like."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load(Path("docs/asyncapi.yaml").read_text())
MESSAGES: Final = {each["name"]: each for each in DOCUMENT["components"]["messages"].values()}


def check(name: str, data: object) -> None:
    """Raise `ValidationError` for an event that is not as documented."""
    _validator(name).validate(data)
    if name == "stream.ready" and isinstance(data, dict):
        for missed in data["events"]:
            check(missed["name"], missed["data"])


@cache
def _validator(name: str) -> Draft202012Validator:
    assert name in MESSAGES, f"docs/asyncapi.yaml does not know {name}"
    schema = {"components": DOCUMENT["components"], **MESSAGES[name]["payload"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
