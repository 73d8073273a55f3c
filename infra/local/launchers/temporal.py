"""The real Temporal server in its development form: one process, SQLite, Web UI."""

import shutil
import sys
from pathlib import Path

from infra.local.errors import StackError
from infra.local.probe import http_post, http_status
from infra.local.process import Command, missing
from infra.local.service import Service
from infra.local.site import Site
from temporal.search_attribute_types import CLI_TYPES

NAMESPACE = "petfolio"
_RETENTION_SECONDS = 7 * 24 * 3600
"""Histories are personal data; the development server's default is one day (temporal.md)."""

# One partition per queue: with four, tasks wait in partitions without a poller (measured, local-stack.md §4.2).
_DYNAMIC_CONFIG = (
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "system.forceSearchAttributesCacheRefreshOnRead=true",
    "frontend.WorkflowTimeSkippingEnabled=true",
    # Households take turns on the queue of media (temporal/priorities.py).
    "matching.useNewMatcher=true",
    "matching.enableFairness=true",
)


def _binary() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("temporal", path=str(beside)) or shutil.which("temporal")
    if not found:
        raise missing("temporal")
    return found


def _command(site: Site) -> Command:
    argv = [
        *(_binary(), "server", "start-dev", "--ip", "127.0.0.1", "--namespace", NAMESPACE, "--log-level", "warn"),
        *("--port", str(site.ports["temporal"]), "--http-port", str(site.ports["temporal_http"])),
        *("--metrics-port", str(site.ports["temporal_metrics"]), "--ui-disable-news-fetch"),
    ]
    if site.durable:
        argv += ["--db-filename", str(site.root / "temporal/temporal.db")]
        argv += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=off"]
        argv += ["--ui-port", str(site.ports["temporal_ui"])]
        argv += ["--ui-codec-endpoint", f"{site.link('api')}/temporal/codec"]
    else:
        argv += ["--headless"]
    for setting in _DYNAMIC_CONFIG:
        argv += ["--dynamic-config-value", setting]
    for name, kind in CLI_TYPES.items():
        argv += ["--search-attribute", f"{name}={kind}"]
    return Command(tuple(argv))


def _provision(site: Site) -> None:
    body = {"config": {"workflowExecutionRetentionTtl": f"{_RETENTION_SECONDS}s"}}
    if http_post(site.ports["temporal_http"], f"/api/v1/namespaces/{NAMESPACE}/update", body) != 200:
        raise StackError("Temporal refused the retention of seven days; its log says why.")


SERVICE = Service(
    name="temporal",
    title="Temporal",
    ports=("temporal", "temporal_ui", "temporal_http", "temporal_metrics"),
    external=("PETFOLIO_TEMPORAL_ADDRESS",),
    prepare=lambda site: (site.folder("temporal"), None)[1],
    command=_command,
    # The HTTP front end answers for the namespace only when the gRPC one serves it.
    ready=lambda site: http_status(site.ports["temporal_http"], f"/api/v1/namespaces/{NAMESPACE}") == 200,
    provision=_provision,
    link=lambda site: site.link("temporal_ui"),
    settings=lambda site: {
        "PETFOLIO_TEMPORAL_ADDRESS": site.address("temporal"),
        "PETFOLIO_TEMPORAL_UI_URL": site.link("temporal_ui"),
    },
)
