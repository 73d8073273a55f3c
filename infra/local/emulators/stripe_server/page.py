"""The page for people: what is in an account, its clock, and what is to go wrong next."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.local.emulators.sign_in import PAGES
from infra.local.emulators.stripe_server.account import Account, Accounts
from infra.local.emulators.stripe_server.control import LOCAL_KEY
from infra.local.emulators.stripe_server.errors import StripeError
from infra.local.emulators.stripe_server.faults import Fault
from infra.local.emulators.stripe_server.form import fields
from infra.local.emulators.stripe_server.objects import Document
from infra.local.emulators.stripe_server.webhooks import Rule

_SHOWN: Final = 50
_HIDDEN: Final = frozenset({"event"})
_LONGEST_STEP: Final = 400 * 24 * 3600
STEPS: Final[Mapping[str, int]] = {"an hour": 3_600, "a day": 86_400, "a week": 604_800, "a month": 31 * 86_400}
WRONGS: Final[Mapping[str, Callable[[], Fault | Rule]]] = {
    "the next POST is lost before it is done": lambda: Fault("POST", effect="drop"),
    "the next POST is done, its answer lost": lambda: Fault("POST", when="after", effect="drop"),
    "the next POST ends in 500 though it was done": lambda: Fault("POST", when="after"),
    "the next request is one too many (429)": lambda: Fault(status=429),
    "the next request takes 10 seconds": lambda: Fault(effect="hang", seconds=10),
    "nothing answers (503) until it is taken back": lambda: Fault(status=503, times=None),
    "the next webhook is lost": lambda: Rule("drop"),
    "the next webhook comes twice": lambda: Rule("duplicate"),
    "the next webhook is a minute late": lambda: Rule("delay"),
}


def routes(accounts: Accounts) -> Iterable[Route]:
    """The page, and what its forms send."""

    async def show(request: Request) -> Response:
        key = request.query_params.get("account") or LOCAL_KEY
        account = accounts.of(key)
        account.tick()
        note = request.query_params.get("note")
        return HTMLResponse(PAGES.get_template("stripe.html").render(note=note, **_about(account, accounts)))

    async def act(request: Request) -> Response:
        form = fields(await request.body())
        account = accounts.of(form.get("account") or LOCAL_KEY)
        try:
            note = await _act(account, form)
        except (StripeError, KeyError) as error:
            note = f"Refused: {error}"
        return RedirectResponse(f"/?{urlencode({'account': account.key, 'note': note})}", 303)

    yield Route("/", show, methods=["GET"])
    yield Route("/", act, methods=["POST"])


async def _act(account: Account, form: Mapping[str, str]) -> str:
    """What a form asks for; answers what to say of it."""
    match form.get("action"):
        case "advance":
            seconds = min(STEPS.get(form.get("step", ""), 0), _LONGEST_STEP)
            await account.advance(account.now() + seconds)
            return f"It is {form.get('step')} later."
        case "break":
            wrong = WRONGS[form["wrong"]]()
            account.faults.add(wrong) if isinstance(wrong, Fault) else account.webhooks.wire.rules.append(wrong)
            return f"From now on: {form['wrong']}."
        case "mend":
            account.faults.clear()
            account.webhooks.wire.rules.clear()
            return "Nothing goes wrong any more."
        case "bank":
            method = account.objects.get("payment_method", form["method"])
            method["_decline_code"] = form.get("decline_code") or None
            return f"{method['id']} is {'declined' if method['_decline_code'] else 'paid'} from now on."
        case _:
            return "Nothing was asked for."


def _about(account: Account, accounts: Accounts) -> dict[str, Any]:
    """What the page shows."""
    kinds = Counter(each["object"] for each in account.objects)
    shown = [each for each in reversed(list(account.objects)) if each["object"] not in _HIDDEN][:_SHOWN]
    return {
        "account": account.key,
        "accounts": sorted(each.key for each in accounts),
        "now": _instant(account.now()),
        "kinds": sorted(kinds.items()),
        "objects": [_line(each) | {"page": _page(account, each)} for each in shown],
        "due": [{"at": _instant(timer.instant), "name": timer.name} for timer in account.clock.waiting()[:10]],
        "deliveries": [each.about() for each in list(account.webhooks.log)[-_SHOWN:][::-1]],
        "wrong": [each["path"] for each in account.faults.listed()]
        + [rule.what for rule in account.webhooks.wire.rules],
        "methods": account.objects.find("payment_method"),
        "steps": list(STEPS),
        "wrongs": list(WRONGS),
    }


def _line(document: Document) -> Document:
    """An object in a line: what tells it from others, as far as its kind has that."""
    names = ("status", "email", "name", "lookup_key", "type", "code", "url")
    told = [str(document[name]) for name in names if isinstance(document.get(name), str)]
    created = _instant(document["created"])
    return {"id": document["id"], "object": document["object"], "created": created, "told": " · ".join(told)}


def _page(account: Account, document: Document) -> str | None:
    """The page that people open for an object, if it has one here."""
    found = (document.get(name) for name in ("url", "hosted_invoice_url"))
    return next((each for each in found if isinstance(each, str) and each.startswith(account.origin)), None)


def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
