"""What SES and SNS have in common: blocking clients in threads, and errors that are classified once.

Retries are Temporal's, botocore's are off. The text of a vendor's error never gets further: it may name the address.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from integrations.notify.protocol import ProviderRefused, ProviderUnavailable, Receipt


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a service's error codes mean. `throttled` gives the seconds to wait where it names none; `ours` are words in
    the text of a refusal that blame our own account: the message stays good until that is put right."""

    service: str
    refused: frozenset[str]
    throttled: Mapping[str, int]
    ours: tuple[str, ...] = ()


class Caller:
    """As many threads as sends can be under way, so that none spends its lease on the ledger waiting for one."""

    def __init__(self, vocabulary: Vocabulary, threads: int) -> None:
        self._vocabulary = vocabulary
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=vocabulary.service.lower())

    async def call(self, send: Callable[[], str]) -> Receipt:
        """Run the blocking call, which answers the vendor's message id. Raises what a `Channel` may."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, send)

    def close(self) -> None:
        """Let running calls end; takes at most their time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, send: Callable[[], str]) -> Receipt:
        service = self._vocabulary.service
        try:
            return Receipt(send())
        except ClientError as error:
            raise self._meaning(error) from None
        except (HTTPClientError, ResponseParserError) as error:
            # The answer timed out, broke off or is none: the message may have been accepted.
            raise ProviderUnavailable(f"{service} did not answer: {type(error).__name__}", ambiguous=True) from None
        except BotoCoreError as error:
            # No connection, no credentials: nothing was sent.
            raise ProviderUnavailable(f"{service} cannot be asked: {type(error).__name__}") from None

    def _meaning(self, error: ClientError) -> ProviderRefused | ProviderUnavailable:
        words = self._vocabulary
        details: dict[str, Any] = dict(error.response.get("Error", {}))
        metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
        code, status = str(details.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
        if code in words.throttled or status == 429:
            asked = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
            wait = int(asked) if asked.isdigit() else words.throttled.get(code, 2)
            return ProviderUnavailable(f"{words.service}: {code}", retry_after=wait)
        if code in words.refused and not any(blame in str(details.get("Message", "")) for blame in words.ours):
            return ProviderRefused(f"{words.service} refused the message: {code}")
        return ProviderUnavailable(f"{words.service}: {code}", ambiguous=status >= 500)


def client_config(threads: int) -> Config:
    """Time limits of reliability-and-privacy.md §2; one connection per thread."""
    return Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, max_pool_connections=threads)
