"""Alert rules ring for metrics that exist, and say what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import activities.billing_metrics
import activities.media_metrics
import activities.metrics
import api.mail_feedback
import api.oauth
import api.tokens
import integrations.calendar.calls
import integrations.payments.metrics
import workers.calendar_watch
import workers.relay
import workers.watch

ROOT = Path(__file__).resolve().parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "infra/observability/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
OWNERS = (
    activities.billing_metrics,
    activities.media_metrics,
    activities.metrics,
    api.mail_feedback,
    api.oauth,
    api.tokens,
    integrations.calendar.calls,
    integrations.payments.metrics,
    workers.calendar_watch,
    workers.relay,
    workers.watch,
)
"""Imported for the metrics they register."""


def anchors() -> set[str]:
    """The sections of the runbooks as GitHub links them."""
    headings = re.findall(r"^## (.+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def series() -> set[str]:
    """Every series our processes expose, by name."""
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
    return {family.name + suffix for family in REGISTRY.collect() for suffix in suffixes.get(family.type, ("",))}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    asked = set(re.findall(r"\b(?:petfolio|outbox)_\w+", rule["expr"]))
    assert asked
    assert asked <= series()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_names_a_section_of_the_runbooks(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert path == "docs/runbooks.md"
    assert anchor in anchors()
    assert rule["annotations"]["summary"].endswith(".")


def test_an_alarm_rings_when_no_worker_is_there_to_report_anything() -> None:
    """Otherwise a fleet that is dead is a fleet without late reminders."""
    silent = [metric for rule in RULES for metric in re.findall(r"\babsent\((\w+)\)", rule["expr"])]
    assert silent == [workers.watch.LOOKED._name]


def test_no_alert_has_the_name_of_another() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
