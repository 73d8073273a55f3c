"""Lists of stolen passwords: a file of any size searched in place, and the range API as HIBP answers."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import PasswordSettings
from integrations.identity.breaches import (
    Breaches,
    BreachesUnavailable,
    BreachFile,
    BreachFileInvalid,
    open_breaches,
)

PASSWORD = "quiet otters audit the lighthouse"


def sha1(word: str) -> str:
    return hashlib.sha1(word.encode()).hexdigest().upper()


class TestFile:
    @pytest.mark.parametrize("ending", ["\n", "\r\n", ":3\n", ":1234567\r\n"])
    @pytest.mark.parametrize("last", [True, False], ids=["closed", "open"])
    def test_it_has_exactly_what_is_in_it(self, tmp_path: Path, ending: str, last: bool) -> None:
        listed = sorted(sha1(f"listed {number}") for number in range(1_000))
        text = "".join(f"{digest}{ending}" for digest in listed)
        path = tmp_path / "pwned.txt"
        path.write_bytes((text if last else text.rstrip("\r\n")).encode())
        file = BreachFile(path)
        assert all(digest in file for digest in listed)
        assert not any(sha1(f"other {number}") in file for number in range(1_000))
        assert "0" * 40 not in file
        assert "F" * 40 not in file

    @given(st.sets(st.integers(0, 2**160 - 1), min_size=1, max_size=40), st.integers(0, 2**160 - 1))
    def test_lines_of_any_length_are_found(
        self, tmp_path_factory: pytest.TempPathFactory, numbers: set[int], other: int
    ) -> None:
        path = tmp_path_factory.mktemp("list") / "pwned.txt"
        path.write_text("".join(f"{number:040X}:{number % 10 ** (number % 9 + 1)}\n" for number in sorted(numbers)))
        file = BreachFile(path)
        assert all(f"{number:040X}" in file for number in numbers)
        assert (f"{other:040X}" in file) == (other in numbers)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "password\n123456\n",
            "\n".join(sorted((sha1("a"), sha1("b"), sha1("c")), reverse=True)),
            "\n".join(sorted(sha1(word).lower() for word in "abc")),
            "\n".join(f"{word},{sha1(word)}" for word in "abc"),
            "\n".join(sorted(sha1(word)[:38] for word in "abc")),
            sha1("a") + "x\n",
        ],
        ids=["empty", "plain", "descending", "lower", "csv", "short", "long"],
    )
    def test_a_list_in_another_form_or_order_keeps_the_process_from_starting(
        self, tmp_path: Path, content: str
    ) -> None:
        path = tmp_path / "pwned.txt"
        path.write_text(content)
        with pytest.raises(BreachFileInvalid):
            BreachFile(path)


Serve = Callable[[str], Awaitable[bytes]]


@asynccontextmanager
async def range_api(serve: Serve) -> AsyncIterator[tuple[Breaches, list[str]]]:
    """A server that answers as `serve` says, given the request's head; what it was asked."""
    asked: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        writer.write(await serve(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_breaches(PasswordSettings(breached_api=base)) as breaches:
        yield breaches, asked


def answer(body: str, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


def listing(*entries: str) -> Serve:
    async def serve(_: str) -> bytes:
        return answer("\r\n".join(entries))

    return serve


class TestRangeApi:
    async def test_it_learns_five_digits_and_asks_for_padding(self) -> None:
        async with range_api(listing(f"{'0' * 35}:4", f"{sha1(PASSWORD)[5:]}:7")) as (breaches, asked):
            assert await breaches.in_api(PASSWORD)
            assert not await breaches.in_api("another that is not in it")
        assert asked[0].startswith(f"GET /range/{sha1(PASSWORD)[:5]} HTTP/1.1")
        assert "add-padding: true" in asked[0].lower()
        assert sha1(PASSWORD)[5:] not in asked[0].upper()

    async def test_padding_is_no_entry(self) -> None:
        async with range_api(listing(f"{sha1(PASSWORD)[5:]}:0")) as (breaches, _):
            assert not await breaches.in_api(PASSWORD)

    @pytest.mark.parametrize(
        "status", ["503 Service Unavailable", "429 Too Many Requests", "302 Found", "404 Not Found"]
    )
    async def test_any_other_answer_is_no_answer(self, status: str) -> None:
        async def serve(_: str) -> bytes:
            return answer("", status)

        async with range_api(serve) as (breaches, _):
            with pytest.raises(BreachesUnavailable):
                await breaches.in_api(PASSWORD)

    async def test_an_answer_without_end_is_cut_off(self) -> None:
        async def serve(_: str) -> bytes:
            return answer("A" * (2 << 20))

        async with range_api(serve) as (breaches, _):
            with pytest.raises(BreachesUnavailable):
                await breaches.in_api(PASSWORD)

    async def test_one_that_never_answers_is_given_up(self) -> None:
        given_up = asyncio.Event()

        async def serve(_: str) -> bytes:
            await given_up.wait()
            return b""

        async with range_api(serve) as (breaches, _):
            with pytest.raises(BreachesUnavailable):
                await breaches.in_api(PASSWORD)
            given_up.set()

    async def test_without_a_setting_nobody_is_asked(self) -> None:
        async with open_breaches(PasswordSettings(breached_api="", breached_file="")) as breaches:
            assert not await breaches.in_api(PASSWORD)
            assert not breaches.in_file(PASSWORD)
