"""/pets/{pet_id}/tag: the code on a collar; /p/{code}: what its page shows, for programs."""

from typing import Any, Final

from fastapi import Request, Response

from api import tags
from api.auth import CurrentUser
from api.deps import ServicesDep, UnitOfWork
from api.identity import ClientDep
from api.json_response import computed
from api.pets import ReadablePet, WritablePet
from api.routing import router as make_router
from api.schemas.lost import PublicPageOut, TagIn, TagOut

router = make_router("/pets", "lost pets")
public = make_router("/p", "lost pets")
_IMAGES: Final = {"svg": "image/svg+xml", "png": "image/png"}


def _image(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {_IMAGES[kind]: {"schema": {"type": "string", "format": "binary"}}}}}


@router.get("/{pet_id}/tag", operation_id="get_tag", response_model=TagOut)
async def get_tag(pet: ReadablePet, session: UnitOfWork, services: ServicesDep) -> Response:
    """The pet's tag, and what its page shows now. 404 where it has none."""
    return computed(await tags.present(session, services, await tags.find(session, pet["id"])))


@router.put("/{pet_id}/tag", operation_id="save_tag", response_model=TagOut)
async def save_tag(
    body: TagIn, pet: WritablePet, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> Response:
    """Choose what the page behind the tag shows. The first time makes the tag; its code stays until it is revoked."""
    return computed(await tags.save(session, services, client, caller, pet, body))


@router.delete("/{pet_id}/tag", operation_id="revoke_tag", status_code=204)
async def revoke_tag(
    pet: WritablePet, caller: CurrentUser, client: ClientDep, session: UnitOfWork, services: ServicesDep
) -> None:
    """Close the page for good, from the next request on. A later tag has another code."""
    await tags.revoke(session, services, client, caller, pet)


@router.get("/{pet_id}/tag/qr.svg", operation_id="get_tag_qr_svg", response_class=Response, responses=_image("svg"))
async def get_tag_qr_svg(pet: ReadablePet, session: UnitOfWork, services: ServicesDep) -> Response:
    """The tag's address as a QR code, to be cut or printed at any size."""
    return Response(await tags.qr(services, await tags.find(session, pet["id"]), "svg"), media_type=_IMAGES["svg"])


@router.get("/{pet_id}/tag/qr.png", operation_id="get_tag_qr_png", response_class=Response, responses=_image("png"))
async def get_tag_qr_png(pet: ReadablePet, session: UnitOfWork, services: ServicesDep) -> Response:
    """The same as a picture, ten pixels a module."""
    return Response(await tags.qr(services, await tags.find(session, pet["id"]), "png"), media_type=_IMAGES["png"])


@public.get("/{code}", operation_id="read_tag", response_model=PublicPageOut)
async def read_tag(code: str, request: Request, client: ClientDep, services: ServicesDep) -> Response:
    """What the tag's page shows. 404 for what is no tag, or not any more."""
    found, request.state.rate_limit = await tags.admit(services, client, code)
    answer = computed(await tags.shown(services, found))
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer
