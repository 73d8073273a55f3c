"""Tags and the pages behind them: what a stranger reads, and what nobody ever does."""

import asyncio
import base64
import hashlib
import re
import struct
import zlib
from dataclasses import replace

import pytest
import segno

from core.db import Database
from core.settings import RateLimit, Settings
from tests.api.lost_kit import PHONE, Family, family, with_pet
from tests.api.signing_in import OPEN, Api, api_process

HOSTILE = "<script>alert(1)</script>\"'&\r\nSet-Cookie: a=b\u202egnp.exe\u2066"


@pytest.fixture(scope="module")
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": OPEN})


@pytest.fixture(scope="module")
async def people(api: Api, db: Database) -> Family:
    return await family(api, db)


@pytest.fixture
async def home(people: Family) -> Family:
    return await with_pet(people)


@pytest.fixture
async def alone(api: Api, db: Database) -> Family:
    """People of whom a test makes what it likes."""
    return await family(api, db)


async def test_a_new_tag_shows_the_species_and_nothing_else(home: Family) -> None:
    answer = await home.owner.request("PUT", f"{home.path}/tag", {})
    assert answer.json()["shown"] == ["species"]
    assert await home.scan(answer.json()["code"]) == {"lost": False, "species": "cat"}


async def test_the_page_shows_exactly_what_was_chosen(home: Family) -> None:
    everything = {"note": "White paws.", "care_note": "Insulin, twice a day."}
    tag = await home.tag("name", "note", **everything)
    assert await home.scan(tag["code"]) == {"lost": False, "name": "Milo", "note": "White paws."}
    await home.tag("breed", "care_note", "microchipped", "first_name", "phone", **everything)
    assert await home.scan(tag["code"]) == {
        "lost": False,
        "breed": "Birman",
        "care_note": "Insulin, twice a day.",
        "microchipped": False,
        "first_name": "Ada",
        "phone": PHONE,
    }
    await home.tag()
    assert await home.scan(tag["code"]) == {"lost": False}


async def test_a_chip_is_a_yes_and_never_a_number(home: Family) -> None:
    await home.owner.request("PATCH", home.path, {"microchip_id": "985112345678903"})
    tag = await home.tag("microchipped")
    assert await home.scan(tag["code"]) == {"lost": False, "microchipped": True}
    page = await home.look(tag["code"])
    assert "a vet or shelter can read it" in page.text
    assert "985112345678903" not in page.text


async def test_a_hidden_number_is_nowhere(home: Family) -> None:
    tag = await home.tag("species", "name", "note", note="Very shy.")
    await home.lose(note="Last seen at the lake.", shown=["species", "name"])
    written = await home.write(tag["code"])
    answers = [await home.look(tag["code"]), await home.api.get(f"/p/{tag['code']}"), written]
    for answer in answers:
        assert PHONE not in answer.text + str(answer.headers)
        assert "Ada" not in answer.text
        assert home.owner.email not in answer.text
    assert await home.lines(home.owner, "pet_sighted") != []


async def test_nobody_shows_the_number_of_somebody_else(home: Family) -> None:
    tag = await home.tag("phone", "first_name")
    await home.tag("phone", "first_name", by=home.partner)
    assert await home.scan(tag["code"]) == {"lost": False, "first_name": "Bob"}


async def test_who_has_left_the_household_is_not_shown_any_more(alone: Family) -> None:
    tag = await alone.tag("name", "phone", "first_name")
    await alone.execute(
        "UPDATE memberships SET left_at = clock_timestamp() WHERE user_id = :id", id=alone.owner.user_id
    )
    assert await alone.scan(tag["code"]) == {"lost": False, "name": "Milo"}


async def test_the_code_cannot_be_guessed_and_is_read_in_any_case(home: Family) -> None:
    tag = await home.tag("species")
    assert re.fullmatch(r"[A-Z2-7]{16}", tag["code"])
    assert (await home.scan(tag["code"].lower()))["species"] == "cat"
    assert len(base64.b32decode(tag["code"])) * 8 == 80


async def test_a_revoked_tag_is_gone_for_good_and_a_new_one_has_another_code(home: Family) -> None:
    tag = await home.tag("species")
    assert (await home.owner.request("DELETE", f"{home.path}/tag")).status_code == 204
    for path in ("", "/tag/qr.svg", "/tag/qr.png"):
        assert (await home.owner.request("GET", f"{home.path}{path or '/tag'}")).status_code == 404
    assert (await home.owner.request("DELETE", f"{home.path}/tag")).status_code == 404
    again = await home.tag("species")
    assert again["code"] != tag["code"]
    assert (await home.look(tag["code"])).status_code == 404
    assert (await home.api.get(f"/p/{tag['code']}")).status_code == 404
    assert (await home.write(tag["code"])).status_code == 404
    assert (await home.scan(again["code"]))["species"] == "cat"


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE pets SET status = 'deceased' WHERE id = :pet",
        "UPDATE pets SET status = 'archived' WHERE id = :pet",
        "UPDATE pets SET deleted_at = clock_timestamp() WHERE id = :pet",
        "UPDATE memberships SET left_at = clock_timestamp() WHERE household_id = :household",
        "UPDATE users SET state = 'erasing' WHERE id IN"
        " (SELECT user_id FROM memberships WHERE household_id = :household AND role = 'owner')",
    ],
)
async def test_the_page_ends_with_the_animal_and_with_its_people(alone: Family, end: str) -> None:
    tag = await alone.tag("species")
    values = {"pet": alone.pet, "household": alone.household}
    await alone.execute(end, **{name: value for name, value in values.items() if f":{name}" in end})
    for answer in (
        await alone.look(tag["code"]),
        await alone.api.get(f"/p/{tag['code']}"),
        await alone.write(tag["code"]),
    ):
        assert answer.status_code == 404


@pytest.mark.parametrize("code", ["A" * 16, "a" * 15, "A" * 17, "%00", "1" * 16, "%F0%9F%90%88", "ſ" * 16])
async def test_what_is_no_code_is_not_found(home: Family, code: str) -> None:
    page = await home.look(code)
    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (await home.api.get(f"/p/{code}")).status_code == 404
    assert (await home.write(code)).status_code == 404


@pytest.mark.parametrize(
    ("language", "says", "searched"),
    [
        ("en", "Have you found me?", "Somebody is looking for me"),
        ("de-AT,en;q=0.5", "Hast du mich gefunden?", "Ich werde gesucht"),
        ("fr", "Have you found me?", "Somebody is looking for me"),
    ],
)
async def test_the_page_speaks_the_readers_language(home: Family, language: str, says: str, searched: str) -> None:
    tag = await home.tag("name", "note", "phone", note="Comes when\nyou rattle food.")
    page = await home.look(tag["code"], language)
    assert page.status_code == 200
    assert f"<h1>{says}</h1>" in page.text
    assert '<bdi dir="auto">Comes when\nyou rattle food.</bdi>' in page.text
    assert f'<a href="tel:{PHONE}">' in page.text
    assert page.headers["content-language"] == language[:2].replace("fr", "en")
    await home.lose(note="Last seen at the lake.")
    lost = await home.look(tag["code"], language)
    assert f"<h1>{searched}</h1>" in lost.text
    assert "Last seen at the lake." in lost.text


async def test_the_page_may_run_exactly_its_own_script_and_is_in_no_cache_and_no_index(home: Family) -> None:
    tag = await home.tag("name")
    page = await home.look(tag["code"])
    policy = page.headers["content-security-policy"]
    for directive, element in (("script-src", "script"), ("style-src", "style")):
        (inline,) = re.findall(rf"<{element}>(.*?)</{element}>", page.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "http" not in re.sub(r"<(script|style)>.*?</\1>", "", page.text, flags=re.DOTALL)
    for answer in (page, await home.look("A" * 16), await home.api.get(f"/p/{tag['code']}")):
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_hostile_words_are_shown_and_do_nothing(home: Family) -> None:
    await home.owner.request("PATCH", home.path, {"name": HOSTILE[:99], "species": "<b>cat</b>"})
    tag = await home.tag("name", "species", "note", "care_note", note=HOSTILE, care_note="\u202eevil")
    await home.lose(note=HOSTILE, shown=["name", "species", "note", "care_note"])
    page = await home.look(tag["code"])
    assert page.status_code == 200
    assert page.text.count("<script>") == 1
    assert "<b>" not in page.text
    assert "set-cookie" not in page.headers
    body = page.text.partition("<main>")[2]
    turned = [
        line for line in re.split(r"(<bdi dir=\"auto\">.*?</bdi>)", body, flags=re.DOTALL)[::2] if "\u202e" in line
    ]
    assert turned == []
    assert (await home.scan(tag["code"]))["note"] == HOSTILE.strip()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"shown": ["chip"]}, "/shown/0"),
        ({"note": "x" * 1001}, "/note"),
        ({"note": ""}, "/note"),
        ({"code": "A" * 16}, "/code"),
        ({"contact_id": "019aaf3e-0000-7000-8000-000000000002"}, "/contact_id"),
    ],
)
async def test_a_tag_takes_its_fields_only(home: Family, body: dict[str, object], pointer: str) -> None:
    answer = await home.owner.request("PUT", f"{home.path}/tag", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_only_owners_decide_what_is_shown(home: Family) -> None:
    tag = await home.tag("species")
    for person, status in ((home.partner, 200), (home.caretaker, 403), (home.sitter, 403), (home.stranger, 404)):
        answer = await person.request("PUT", f"{home.path}/tag", {"shown": ["species"]})
        assert answer.status_code == status
    for person, status in ((home.caretaker, 403), (home.sitter, 403), (home.stranger, 404)):
        assert (await person.request("DELETE", f"{home.path}/tag")).status_code == status
    for person, status in ((home.caretaker, 200), (home.sitter, 200), (home.stranger, 404)):
        for path in ("/tag", "/tag/qr.svg", "/tag/qr.png"):
            assert (await person.request("GET", home.path + path)).status_code == status
    assert (await home.scan(tag["code"]))["species"] == "cat"


async def test_the_qr_code_says_the_address_of_the_page(home: Family) -> None:
    tag = await home.tag("species")
    assert tag["url"].endswith(f"/p/{tag['code']}")
    expected = [list(row) for row in segno.make_qr(tag["url"], error="m", boost_error=False).matrix]
    picture = await home.owner.request("GET", f"{home.path}/tag/qr.png")
    assert picture.headers["content-type"] == "image/png"
    assert modules_of(picture.content) == expected
    drawing = await home.owner.request("GET", f"{home.path}/tag/qr.svg")
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert modules_of_path(drawing.text, len(expected)) == expected


def modules_of(png: bytes, scale: int = 10, border: int = 4) -> list[list[int]]:
    """The dark and light modules of a picture of one bit a pixel (ISO/IEC 15948), filtered by the row above or not."""
    chunks, position = {}, 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        kind = png[position + 4 : position + 8]
        chunks[kind] = chunks.get(kind, b"") + png[position + 8 : position + 8 + length]
        position += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour, width) == (1, 0, height)
    raw, stride = zlib.decompress(chunks[b"IDAT"]), 1 + (width + 7) // 8
    rows: list[bytes] = []
    for row in (raw[start : start + stride] for start in range(0, len(raw), stride)):
        assert row[0] in (0, 2)
        above = rows[-1] if rows and row[0] == 2 else bytes(stride - 1)
        rows.append(bytes((own + up) % 256 for own, up in zip(row[1:], above, strict=True)))
    bits = [f"{int.from_bytes(row, 'big'):0{8 * (stride - 1)}b}"[:width] for row in rows]
    inside = range(border * scale, width - border * scale, scale)
    return [[1 - int(bits[y][x]) for x in inside] for y in inside]


def modules_of_path(svg: str, size: int, border: int = 4) -> list[list[int]]:
    """The modules that horizontal strokes of a path pass through: `M4 4.5h7m4 0h1…`."""
    (path,) = re.findall(r' d="([^"]+)"', svg)
    found, x, y = [[0] * size for _ in range(size)], 0.0, 0.0
    for command, numbers in re.findall(r"([MmhH])([^MmhH]*)", path):
        values = [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
        match command:
            case "M":
                x, y = values
            case "m":
                x, y = x + values[0], y + values[1]
            case "h":
                for module in range(int(x), int(x + values[0])):
                    found[int(y) - border][module - border] = 1
                x += values[0]
    return found


async def test_somebody_who_tries_codes_is_slowed_down(settings: Settings, home: Family) -> None:
    tag = await home.tag("species")
    limits = OPEN.model_copy(update={"anonymous": RateLimit(quota=60, window=60, burst=3)})
    async with api_process(settings.model_copy(update={"rate_limits": limits})) as narrow:
        there = replace(home, api=narrow)
        answers = [await there.look(code) for code in ("A" * 16, tag["code"], "B" * 16, tag["code"])]
        assert [answer.status_code for answer in answers] == [404, 200, 404, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1


LIMITED = OPEN.model_copy(
    update={
        "sightings": RateLimit(quota=1, window=3600, burst=3),
        "tag_sightings": RateLimit(quota=1, window=3600, burst=5),
    }
)


async def test_a_storm_of_messages_is_limited_by_network_and_by_tag(settings: Settings, home: Family) -> None:
    tag, statuses = await home.tag("species"), []
    for _ in range(3):
        async with api_process(settings.model_copy(update={"rate_limits": LIMITED})) as narrow:
            there = replace(home, api=narrow)
            statuses += [(await there.write(tag["code"])).status_code for _ in range(4)]
    assert statuses == [204, 204, 204, 429, 204, 204, 429, 429, 429, 429, 429, 429]
    assert len(await home.sightings()) == 5


async def test_a_storm_that_comes_all_at_once_is_limited_too(settings: Settings, home: Family) -> None:
    tag = await home.tag("species")
    async with api_process(settings.model_copy(update={"rate_limits": LIMITED})) as narrow:
        there = replace(home, api=narrow)
        answers = await asyncio.gather(*(there.write(tag["code"]) for _ in range(20)))
    assert [answer.status_code for answer in answers].count(204) == 3
    assert len(await home.sightings()) == 3
