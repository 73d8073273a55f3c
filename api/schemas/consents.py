"""Bodies of `/users/consents`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from domain.consent import WORDINGS, ConsentAction, ConsentSource, Purpose

_SMS = WORDINGS[Purpose.SMS]


class ConsentOut(BaseModel):
    """One purpose: whether it is agreed to, since when, and the words to show before asking.

    `agreed_wording` is the version that was agreed to; `wording` the present one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "purpose": "sms",
                    "granted": True,
                    "decided_at": "2026-11-23T08:00:00Z",
                    "source": "app",
                    "agreed_wording": _SMS.version,
                    "wording": _SMS.version,
                    "locale": "en",
                    "text": _SMS.texts["en"],
                }
            ]
        }
    )

    purpose: Purpose
    granted: bool
    decided_at: datetime | None
    source: ConsentSource | None
    agreed_wording: str | None
    wording: str
    locale: Literal["en", "de"]
    text: str


class ConsentsOut(BaseModel):
    """Every purpose, in one page."""

    items: list[ConsentOut]
    next_cursor: str | None


class ConsentIn(BaseModel):
    """`granted` names the version of the words that were shown (`wording`), and in which language. `withdrawn` needs
    nothing else."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"purpose": "sms", "action": "granted", "wording": _SMS.version, "locale": "en"}]
        },
    )

    purpose: Purpose
    action: ConsentAction
    wording: Annotated[str, StringConstraints(max_length=32)] | None = None
    locale: Literal["en", "de"] | None = None
