"""What a service is: data. A new one is a launcher module with one `Service`, and one line in the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.local.probe import accepts
from infra.local.process import Command, Stop
from infra.local.site import Site

_BACKOFF = (0.2, 0.4, 0.8, 1.6, 5.0)
_STOP = Stop()


def _nothing(_: Site) -> None:
    """No step needed."""


def _never(_: Site) -> bool:
    return False


def _no_settings(_: Site) -> Mapping[str, str]:
    return {}


def _no_link(_: Site) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process of the stack. All callables are synchronous; the supervisor runs them in threads.

    `prepare` runs before each start and may run again (files, folders); `provision` after each time it became ready
    (roles, buckets); `clean_up` after it has ended. `settings` is the environment that its users get; `external`
    names the settings which, when the person gives them, replace the service; `reach` is where it is then, if the first
    of them does not say so. A `oneshot` is ready when it has exited
    with 0. With more exits within `window` seconds than `backoff` has pauses the service has failed.
    """

    name: str
    title: str
    command: Callable[[Site], Command]
    ready: Callable[[Site], bool] = lambda _: True
    prepare: Callable[[Site], None] = _nothing
    provision: Callable[[Site], None] = _nothing
    clean_up: Callable[[Site], None] = _nothing
    settings: Callable[[Site], Mapping[str, str]] = _no_settings
    link: Callable[[Site], str | None] = _no_link
    ports: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    reach: Callable[[Site], str | None] = _no_link
    stop: Stop = _STOP
    backoff: tuple[float, ...] = _BACKOFF
    window: float = 60.0
    oneshot: bool = False
    settled: Callable[[Site], bool] = _never
    reload: bool = False

    def given_by(self, site: Site) -> str | None:
        """What replaces this service, mostly a URL, if the person named one that is not our own."""
        if not self.external or not (url := site.environ.get(self.external[0])):
            return None
        return None if url == self.settings(site).get(self.external[0]) else url

    def answers(self, site: Site) -> bool:
        """Whether it can be used now, be it ours or external."""
        url = self.given_by(site)
        return accepts(self.reach(site) or url) if url else self.ready(site)
