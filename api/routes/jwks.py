"""`/.well-known/jwks.json`: the public keys access tokens verify with (RFC 7517)."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from api.identity import IdentityDep

router = APIRouter(tags=["auth"])


@router.get("/.well-known/jwks.json", operation_id="jwks")
async def jwks(identity: IdentityDep) -> Response:
    """Keys that sign now, signed lately, or will sign soon; told apart by `kid`."""
    return JSONResponse(identity.tokens.jwks(), headers={"Cache-Control": "max-age=300"})
