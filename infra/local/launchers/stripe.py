"""Stripe in the local stack: the server of `emulators/stripe_server`, with the plans and our webhook endpoint in it.

What the server knows is gone when it ends; the plans and the endpoint come back with it, and the endpoint's secret is
the old one. A key of the person's own (`PETFOLIO_STRIPE_API_KEY`) takes its place.
"""

import sys
from collections.abc import Mapping

from infra.local import stripe_seed
from infra.local.emulators.stripe_server.signing import endpoint_secret
from infra.local.probe import http_status
from infra.local.process import Command
from infra.local.service import Service
from infra.local.site import CHECKOUT, Site

KEY = "sk_test_local"
_SEED = "stripe_endpoints"


def webhook_url(site: Site) -> str:
    """Where the API is told of events."""
    return f"http://{site.address('api')}/api/v1/webhooks/stripe"


def settings(site: Site) -> Mapping[str, str]:
    """What the application is told."""
    return {
        "PETFOLIO_STRIPE_API_KEY": KEY,
        "PETFOLIO_STRIPE_API_BASE": f"http://{site.address('stripe')}",
        "PETFOLIO_STRIPE_WEBHOOK_SECRETS": endpoint_secret(site.secrets[_SEED], KEY, webhook_url(site)),
    }


def _command(site: Site) -> Command:
    ports = ("--port", str(site.ports["stripe"]), "--link", site.link("stripe"))
    argv = (sys.executable, "-m", "infra.local.stripe_server", *ports)
    return Command(argv, env={"STRIPE_ENDPOINT_SEED": site.secrets[_SEED]}, cwd=CHECKOUT)


def _provision(site: Site) -> None:
    stripe_seed.seed(KEY, f"http://{site.address('stripe')}", webhook_url(site))


SERVICE = Service(
    name="stripe",
    title="Stripe",
    ports=("stripe",),
    secrets=(_SEED,),
    external=("PETFOLIO_STRIPE_API_KEY",),
    reach=lambda site: site.environ.get("PETFOLIO_STRIPE_API_BASE") or "https://api.stripe.com",
    command=_command,
    ready=lambda site: http_status(site.ports["stripe"], "/healthz") == 200,
    provision=_provision,
    link=lambda site: site.link("stripe"),
    settings=settings,
)
