"""The answer of `/unsubscribe`."""

from pydantic import BaseModel, ConfigDict

from domain.notification import Category, Channel


class UnsubscribedOut(BaseModel):
    """What the link was about, and whether it is sent from now on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"category": "grooming", "channel": "email", "subscribed": False}]}
    )

    category: Category
    channel: Channel
    subscribed: bool
