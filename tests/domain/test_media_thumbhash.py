"""Placeholders are those of the reference: the vectors were made by npm `thumbhash` 0.1.1 from the same pixels."""

import pytest

from domain.media.thumbhash import thumbhash

VECTORS = {
    (1, 1, "opaque"): "000802070000000000000000000000000000000000000000",
    (32, 32, "opaque"): "5e18061f0a205798215989848748787878882af2d3406906",
    (64, 48, "opaque"): "1f08060d8295236933047a63a5497675fd9c2c8f56",
    (48, 64, "varied"): "1f08820c02088733097863a6a4a6f7ab901e95861a8650c909",
    (100, 3, "opaque"): "5b080a4182505493778777876f7887a098",
    (3, 100, "varied"): "1ff8851106178870276878896094370687787687726807",
    (100, 100, "varied"): "20f88105000873820b7d3906636fc993f75687067878788887",
    (7, 5, "varied"): "460882048012b086b4877a78089b6a047e2577078778888707",
    (10, 10, "clear"): "00088205000000000000000000000000000000000000000000",
}


def pixels(width: int, height: int, opacity: str) -> bytes:
    """The same as those the reference was given."""
    alpha = {"opaque": lambda x, y: 255, "varied": lambda x, y: (x * 5 + y * 9) % 256, "clear": lambda x, y: 0}[opacity]
    return b"".join(
        bytes([(x * 7 + y * 3) % 256, (x * x + y * 5) % 256, (x * 2 + y * y) % 256, alpha(x, y)])
        for y in range(height)
        for x in range(width)
    )


@pytest.mark.parametrize(("width", "height", "opacity"), VECTORS)
def test_a_hash_is_that_of_the_reference(width: int, height: int, opacity: str) -> None:
    assert thumbhash(width, height, pixels(width, height, opacity)).hex() == VECTORS[width, height, opacity]


@pytest.mark.parametrize(("width", "height", "count"), [(101, 1, 404), (0, 0, 0), (2, 2, 15), (2, 2, 17)])
def test_what_is_no_small_picture_has_none(width: int, height: int, count: int) -> None:
    with pytest.raises(ValueError, match="no picture"):
        thumbhash(width, height, bytes(count))
