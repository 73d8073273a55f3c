"""PDF: the first page as a picture, and the number of pages."""

from pathlib import Path

import pytest
from PIL import Image

from integrations.imaging.confined import ConfinedImaging
from integrations.imaging.limits import Limits
from integrations.imaging.protocol import Reason, Unreadable
from tests.imaging.conftest import Publish
from tests.imaging.photos import FILES


def document(*objects: str, pages: str = "/Kids [3 0 R] /Count 1", catalog: str = "") -> bytes:
    """A PDF of these objects from number 3 on, with a table of where they are."""
    body, offsets = b"%PDF-1.7\n", []
    for number, text in enumerate((f"<< /Type /Catalog /Pages 2 0 R {catalog} >>", f"<< {pages} >>", *objects), 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    count = len(offsets) + 1
    return (
        body
        + (
            f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>\n"
            f"startxref\n{len(body)}\n%%EOF\n"
        ).encode()
    )


def page(box: str, *, content: str = "", more: str = "") -> tuple[str, str]:
    """A page and its content stream."""
    return (
        f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents 4 0 R {more} >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    )


def test_the_first_page_is_published_on_white_with_the_number_of_pages(
    imaging: ConfinedImaging, publish: Publish
) -> None:
    found = imaging.inspect(FILES / "two_pages.pdf")
    assert (found.content_type, found.pages, found.width, found.height) == ("application/pdf", 2, 1365, 2048)
    made = publish(FILES / "two_pages.pdf")
    assert made.pages == 2
    assert {each.name for each in made.files} == {f"preview-{edge}" for edge in (160, 480, 1080, 2048)}
    for each in made.files:
        with Image.open(each.path) as picture:
            shown, (width, height) = picture.convert("RGB"), picture.size
        assert (width, height) == (each.width, each.height)
        red, white = shown.getpixel((width // 2, height // 4)), shown.getpixel((width // 2, 3 * height // 4))
        assert isinstance(red, tuple)
        assert isinstance(white, tuple)
        assert red[0] > 230 > 40 > red[1]
        assert min(white) > 250


def test_a_password_is_a_reason_and_permissions_are_none(imaging: ConfinedImaging) -> None:
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(FILES / "locked.pdf")
    assert caught.value.reason is Reason.ENCRYPTED
    assert imaging.inspect(FILES / "owner_locked.pdf").pages == 2


def test_a_huge_page_and_a_thin_one_are_drawn_no_larger_than_others(imaging: ConfinedImaging, tmp_path: Path) -> None:
    for name, box, size in (
        ("huge", "0 0 14400 7200", (2048, 1024)),
        ("thin", "0 0 3 14400", (1, 2048)),
        ("small", "0 0 10 5", (2048, 1024)),
    ):
        path = tmp_path / name
        path.write_bytes(document(*page(box)))
        found = imaging.inspect(path)
        assert (found.width, found.height) == size


def test_a_document_without_pages_is_damaged(imaging: ConfinedImaging, tmp_path: Path) -> None:
    path = tmp_path / "empty.pdf"
    path.write_bytes(document(pages="/Kids [] /Count 0"))
    with pytest.raises(Unreadable) as caught:
        imaging.inspect(path)
    assert caught.value.reason is Reason.DAMAGED


def test_nothing_that_a_document_wants_to_do_is_done(publish: Publish, tmp_path: Path) -> None:
    """Its scripts would write a file, its actions would start a program: what is drawn is the page, and that is all."""
    mark = tmp_path / "was-here"
    script = f"<< /S /JavaScript /JS (app.launchURL\\('file://{mark}'\\); app.alert\\(1\\)) >>"
    path = tmp_path / "active.pdf"
    path.write_bytes(
        document(
            *page("0 0 100 100", more=f"/AA << /O {script} >>"),
            catalog=f"/OpenAction {script} /AA << /WC << /S /Launch /F (/bin/touch) /P ({mark}) >> >>",
        )
    )
    assert publish(path).pages == 1
    assert not mark.exists()


def test_a_page_that_never_ends_drawing_is_too_slow(tmp_path: Path) -> None:
    path = tmp_path / "busy.pdf"
    path.write_bytes(document(*page("0 0 1000 1000", content="0 0 m 1000 1000 l 0 1000 l 1000 0 l S\n" * 300_000)))
    with pytest.raises(Unreadable) as caught:
        ConfinedImaging(Limits(cpu_seconds=1)).render(path, tmp_path, plan=[])
    assert caught.value.reason is Reason.TOO_SLOW
