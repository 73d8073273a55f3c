"""What tests have asked to go wrong: the rules of `/_control/`, and which of them a request meets."""

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeVar

SHAPES: Final = frozenset(
    "empty_list empty_page short_page twice replay untyped_removed endless normalise etag_on_get reject"
    " no_events_delta transaction_repeat".split()
)


@dataclass(slots=True)
class Rule:
    """Counts down: `skip` requests pass, then it holds for `times`. None: until it is taken away."""

    times: int | None = 1
    skip: int = 0

    def take(self) -> bool:
        """Whether it holds for this one."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @property
    def is_spent(self) -> bool:
        """Whether it never holds again."""
        return self.times is not None and self.times <= 0


_R = TypeVar("_R", bound=Rule)


@dataclass(slots=True)
class Fault(Rule):
    """A request that goes wrong: `when` it was not done yet (before) or was done and stored (after).

    `effect`: an answer with `status`, `body` and `headers`; the connection is reset, or closed, without one; `seconds`
    of silence (hang); or all is well, `seconds` later (slow).
    """

    method: str = ".*"
    path: str = ".*"
    when: Literal["before", "after"] = "before"
    effect: Literal["status", "reset", "close", "hang", "slow"] = "status"
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    account: str | None = None

    def __post_init__(self) -> None:
        if self.when not in ("before", "after") or self.effect not in ("status", "reset", "close", "hang", "slow"):
            raise ValueError("when is before or after, effect is status, reset, close, hang or slow")
        if not 0 <= self.seconds <= 120 or not 400 <= self.status <= 599:
            raise ValueError("seconds must lie between 0 and 120, status between 400 and 599")


@dataclass(slots=True)
class Throttle(Rule):
    """Refuses with `status` and Retry-After, for `times` requests or, where given, `seconds`: everybody, an account, or
    a calendar; `provider` None: both."""

    status: int = 429
    retry_after: int | None = 7
    reason: str = "rateLimitExceeded"
    seconds: float | None = None
    provider: str | None = None
    account: str | None = None
    calendar: str | None = None
    until: float = 0.0

    def __post_init__(self) -> None:
        if self.status not in (403, 429, 503):
            raise ValueError("status is 403, 429 or 503")
        if self.seconds is not None:
            self.times, self.until = None, time.monotonic() + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether its seconds have passed."""
        return self.seconds is not None and time.monotonic() > self.until


@dataclass(slots=True)
class Race(Rule):
    """Something that a person does (`remote`) right before the next request like this is served."""

    method: str = "PATCH|PUT|DELETE"
    path: str = ".*"
    remote: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Shape(Rule):
    """A form of answers (`what`, one of `SHAPES`), of one calendar or event or of all; `form` chooses among several."""

    what: str = ""
    calendar: str | None = None
    event: str | None = None
    form: str = ""

    def __post_init__(self) -> None:
        if self.what not in SHAPES:
            raise ValueError(f"what is one of {', '.join(sorted(SHAPES))}")


class Knobs:
    """See the module. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """From now on."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Those that still hold."""
        with self._lock:
            return [{"kind": type(rule).__name__.lower(), **asdict(rule)} for rule in self._rules]

    def fault(self, method: str, path: str, account: str | None) -> Fault | None:
        """The fault that a request meets."""
        return self._first(
            rule
            for rule in self._of(Fault)
            if _meets(rule.method, rule.path, method, path) and rule.account in (None, account)
        )

    def throttle(self, provider: str, account: str | None, path: str) -> Throttle | None:
        """The throttle that a request meets; its calendar is in its path."""
        with self._lock:
            self._rules = [rule for rule in self._rules if not (isinstance(rule, Throttle) and rule.is_over)]
        return self._first(
            rule
            for rule in self._of(Throttle)
            if rule.provider in (None, provider)
            and rule.account in (None, account)
            and (rule.calendar is None or f"/{rule.calendar}" in path)
        )

    def race(self, method: str, path: str) -> Race | None:
        """What happens right before a request."""
        return self._first(rule for rule in self._of(Race) if _meets(rule.method, rule.path, method, path))

    def shape(self, what: str, calendar: str | None = None, *names: str | None) -> Shape | None:
        """The form of an answer, if one was asked for. `names`: what the event may be called by, its id or title."""
        return self._first(
            rule
            for rule in self._of(Shape)
            if rule.what == what
            and (rule.calendar is None or rule.calendar == calendar)
            and (rule.event is None or rule.event in names)
        )

    def takes(self, what: str, calendar: str | None = None, *names: str | None) -> bool:
        """Whether an answer has a form."""
        return self.shape(what, calendar, *names) is not None

    def normalised(self, body: dict[str, Any], calendar: str) -> dict[str, Any]:
        """What a server makes of texts that likes CRLF, spaces at line ends and, for `form` html, elements."""
        shape = self.shape("normalise", calendar)
        if shape is None:
            return body
        texts = ("summary", "subject", "description", "location", "body", "content", "displayName")
        return {name: _normal(value, shape.form) if name in texts else value for name, value in body.items()}

    def _of(self, kind: type[_R]) -> list[_R]:
        with self._lock:
            return [rule for rule in self._rules if isinstance(rule, kind)]

    def _first(self, rules: Iterable[_R]) -> _R | None:
        for rule in rules:
            with self._lock:
                taken = not rule.is_spent and rule.take()
                if rule.is_spent and rule in self._rules:
                    self._rules.remove(rule)
            if taken:
                return rule
        return None


def _meets(method: str, path: str, given_method: str, given_path: str) -> bool:
    return bool(re.fullmatch(method, given_method) and re.search(path, given_path))


def _normal(value: Any, form: str) -> Any:
    if isinstance(value, dict):
        texts = ("content", "displayName")
        return {name: _normal(each, form) if name in texts else each for name, each in value.items()}
    if not isinstance(value, str) or not value:
        return value
    lines = value.replace("\r\n", "\n").split("\n")
    return "<br>".join(lines) if form == "html" and len(lines) > 1 else " \r\n".join(lines) + " "
