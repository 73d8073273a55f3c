"""Products: what is sold. What it costs is in `prices`."""

from typing import Final

from infra.local.emulators.stripe_server.documents import update
from infra.local.emulators.stripe_server.errors import StripeError, invalid
from infra.local.emulators.stripe_server.lists import page
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.operations import Call, operation

_FIELDS: Final = (
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "shippable",
    "tax_code",
    "unit_label",
)
_MORE: Final = ("statement_descriptor", "url")
_PAGED: Final = ("limit", "starting_after", "ending_before", "created")


@operation("POST", "/v1/products", takes=("id", "type", "metadata", *_FIELDS, *_MORE))
def create(call: Call) -> Document:
    """A product; its id may be chosen. Raises `StripeError` for one that is taken."""
    _require_name(call.params)
    product_id = call.params.get("id") or call.account.new_id("prod")
    if call.account.objects.maybe(product_id):
        raise StripeError(400, "invalid_request_error", "resource_already_exists", "Product already exists.", "id")
    product = call.account.make(
        "product",
        "prod",
        id=product_id,
        **dict.fromkeys((*_FIELDS, *_MORE)) | {"active": True, "images": [], "marketing_features": []},
        default_price=None,
        package_dimensions=None,
        type=call.params.get("type", "service"),
        updated=call.account.now(),
    )
    _set(product, call.params)
    call.account.emit("product.created", product)
    return product


@operation("GET", "/v1/products/{id}")
def retrieve(call: Call) -> Document:
    """One of them."""
    return call.account.objects.get("product", call.id)


@operation("POST", "/v1/products/{id}", takes=("default_price", "metadata", *_FIELDS, *_MORE))
def change(call: Call) -> Document:
    """Change it."""
    product = call.account.objects.get("product", call.id)
    _require_name(call.params)
    if price := call.params.get("default_price"):
        call.account.objects.get("price", price, "default_price")
    with call.account.changing(product, "product.updated"):
        _set(product, call.params)
        product["updated"] = call.account.now()
    return product


@operation("GET", "/v1/products", takes=("active", "ids", *_PAGED))
def index(call: Call) -> Document:
    """Newest first."""
    active, ids = call.params.get("active"), call.params.get("ids")

    def fits(product: Document) -> bool:
        return active in (None, product["active"]) and (ids is None or product["id"] in ids)

    return page(call, call.account.objects.find("product", fits))


def _require_name(given: Document) -> None:
    """Raises `StripeError` for an empty one: that would take it away, which cannot be."""
    if given.get("name") == "":
        raise invalid("You passed an empty string for 'name': it cannot be unset.", "name", "parameter_invalid_empty")


def _set(product: Document, given: Document) -> None:
    """A list that was taken away is empty, not null."""
    update(product, given, "default_price", *_FIELDS, *_MORE)
    product |= {name: product[name] or [] for name in ("images", "marketing_features")}
