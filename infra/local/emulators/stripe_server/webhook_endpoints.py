"""Webhook endpoints, and the events that they are told of."""

from typing import Final

from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import invalid
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_UPDATABLE: Final = ("description", "enabled_events", "url")
_PAGED: Final = ("limit", "starting_after", "ending_before")


@operation("POST", "/v1/webhook_endpoints", takes=(*_UPDATABLE, "api_version", "metadata"))
def create(call: Call) -> Document:
    """An endpoint; its secret is shown in this answer alone."""
    url = _url(call.params["url"])
    secret = call.account.webhooks.secret(url)
    endpoint = call.account.make(
        "webhook_endpoint",
        "we",
        api_version=call.params.get("api_version"),
        application=None,
        description=None,
        enabled_events=call.params["enabled_events"],
        status="enabled",
        url=url,
        _secrets=[secret],
        _rotations=0,
    )
    update(endpoint, call.params, "description")
    return endpoint | {"secret": secret}


@operation("GET", "/v1/webhook_endpoints/{webhook_endpoint}")
def retrieve(call: Call) -> Document:
    """One of them, without its secret."""
    return call.account.objects.get("webhook_endpoint", call.id)


@operation("POST", "/v1/webhook_endpoints/{webhook_endpoint}", takes=(*_UPDATABLE, "disabled", "metadata"))
def change(call: Call) -> Document:
    """Change it, or switch it off and on."""
    endpoint, given = call.account.objects.get("webhook_endpoint", call.id), call.params
    if "url" in given:
        _url(given["url"])
    update(endpoint, given, *_UPDATABLE)
    if "disabled" in given:
        endpoint["status"] = "disabled" if given["disabled"] else "enabled"
    return endpoint


@operation("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}")
def delete(call: Call) -> Document:
    """Nothing is told to it any more."""
    endpoint = call.account.objects.delete("webhook_endpoint", call.id)
    endpoint["status"] = "disabled"
    return {"id": call.id, "object": "webhook_endpoint", "deleted": True}


@operation("GET", "/v1/webhook_endpoints", takes=_PAGED)
def index(call: Call) -> Document:
    """Newest first."""
    return page(call, call.account.objects.find("webhook_endpoint"))


@operation("GET", "/v1/events/{id}")
def retrieve_event(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("event", call.id)


@operation(
    *("GET", "/v1/events"),
    exclusive=(("type", "types"),),
    takes=("created", "delivery_success", "type", "types", *_PAGED),
)
def index_events(call: Call) -> Document:
    """Newest first; `delivery_success` false: those that some endpoint has not taken."""
    given, webhooks = call.params, call.account.webhooks
    types = given.get("types") or ([given["type"]] if "type" in given else ["*"])
    exact, families = frozenset(types), tuple(each[:-1] for each in types if each.endswith("*"))
    success = given.get("delivery_success")

    def fits(event: Document) -> bool:
        """`invoice.*` and `*` stand for many types."""
        is_wanted = event["type"] in exact or event["type"].startswith(families)
        return is_wanted and (success is None or success == webhooks.succeeded(event["id"]))

    return page(call, call.account.objects.find("event", fits))


def _url(given: str) -> str:
    if not given.startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    return given
