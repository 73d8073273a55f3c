"""The body of `POST /auth/step-up`."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.auth import Password
from api.schemas.mfa import AssertionIn, Code, PaperCode


class StepUpIn(BaseModel):
    """Exactly one proof. Each member is a method of `api.step_up.METHODS`."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"password": "correct horse battery"}, {"code": "123456"}]},
    )

    password: Password | None = None
    code: Code | None = None
    recovery_code: PaperCode | None = None
    passkey: AssertionIn | None = None

    @model_validator(mode="after")
    def one_proof(self) -> Self:
        """Raises a validation error of code `one_proof`."""
        if len(self._given()) != 1:
            raise PydanticCustomError("one_proof", "Send exactly one proof.")
        return self

    def proof(self) -> tuple[str, object]:
        """Its method, and what was given for it."""
        ((method, given),) = self._given().items()
        return method, given.credential() if isinstance(given, AssertionIn) else given

    def _given(self) -> dict[str, object]:
        return {name: given for name, given in dict(self).items() if given is not None}
