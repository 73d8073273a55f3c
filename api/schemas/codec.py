"""The codec protocol of Temporal's UI and CLI: protobuf JSON, in which bytes are base64."""

from pydantic import Base64Bytes, BaseModel, Field


class PayloadJson(BaseModel):
    """One payload, sealed or open."""

    metadata: dict[str, Base64Bytes] = Field(default={})
    data: Base64Bytes = b""


class PayloadsJson(BaseModel):
    """What is sent, and what comes back in the same order."""

    payloads: list[PayloadJson] = Field(max_length=1000)
