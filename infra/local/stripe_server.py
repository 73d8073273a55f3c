"""The Stripe server of the local stack as a process.

`STRIPE_ENDPOINT_SEED=… python -m infra.local.stripe_server --port 8050 --link http://localhost:8050`
"""

import argparse
import os

import uvicorn

from infra.local.emulators.stripe_server.application import StripeServer


def main() -> None:
    """Entry point of the process; until SIGTERM."""
    parser = argparse.ArgumentParser(description="Stripe, as far as subscription billing needs it")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--link", required=True, help="where browsers find its pages")
    arguments = parser.parse_args()
    server = StripeServer(arguments.link, seed=os.environ.get("STRIPE_ENDPOINT_SEED", ""))
    uvicorn.run(
        server,
        host="127.0.0.1",
        port=arguments.port,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,  # an answer that was asked to take a minute must not keep the process for as long
    )


if __name__ == "__main__":
    main()
