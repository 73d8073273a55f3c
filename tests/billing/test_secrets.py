"""Nothing that pays, opens a page on which one pays, or names a person is where somebody reads it, whatever goes wrong
(I11): not in what activities answer or raise, which histories keep and traces quote, nor in logs or rows."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator

import pytest

from core.errors import PetfolioError
from tests.billing.test_dunning import MONTH
from tests.billing.till import Till
from tests.infra.stripe_server.shops import HOUR

EMAIL = "canary.of.a.payer@example.com"
FAULTS = (
    {"status": 500},
    {"status": 429},
    {"status": 400, "code": "parameter_unknown"},
    {"effect": "drop", "when": "after"},
)
_TABLES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"


async def test_neither_rows_nor_logs_nor_errors_hold_what_pays_or_whom_it_is_of(
    till: Till, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "")
    said = await _everything_that_is_said(till)
    secrets = {EMAIL, till.shop.box.key, *_of_objects(till)}
    assert len(secrets) > 6
    logged = [*(record.getMessage() for record in caplog.records), *capsys.readouterr()]
    for place, texts in {"said": said, "logged": logged, "rows": await _rows(till)}.items():
        assert texts
        assert not [secret for secret in secrets for text in texts if secret in text], place


def _of_objects(till: Till) -> Iterator[str]:
    """Client secrets, and addresses of pages."""
    for each in till.shop.account.objects:
        for name in ("client_secret", "hosted_invoice_url", "invoice_pdf"):
            if each.get(name):
                yield each[name]


async def _everything_that_is_said(till: Till) -> list[str]:
    """A good month, one in which nothing works, and a card that is declined."""
    said: list[str] = []

    async def note(work: Callable[[], Awaitable[object]]) -> None:
        try:
            said.append(repr(await work()))
        except PetfolioError as error:
            said.append("".join(traceback.format_exception(error, chain=True)))
            said.append(repr(error.__dict__))

    till.customer_id = await till.shop.customer(email=EMAIL)
    await till.belong(till.customer_id)
    await till.shop.subscribe(till.customer_id)
    await note(till.follow)
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    await till.shop.box.passes(MONTH + 2 * HOUR)
    await till.tell()
    for fault in FAULTS:
        await till.shop.box.control("faults", path="/v1/", **fault)
        await note(till.pull)
    await note(till.follow)
    await till.shop.replace_method(till.customer_id, "pm_card_chargeCustomerFail")
    await till.shop.box.control("faults", path="/pay$", status=503)
    await note(till.follow)
    await note(till.follow)
    assert len([text for text in said if "Traceback" in text]) > len(FAULTS)
    assert [step for _, step in await till.told()] == ["day_0"]
    return said


async def _rows(till: Till) -> list[str]:
    return [
        row.text
        for table in await till.rows(_TABLES)
        for row in await till.rows(f'SELECT to_jsonb(x)::text AS text FROM "{table.name}" x')
    ]
