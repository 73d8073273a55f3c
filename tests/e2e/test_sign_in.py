"""`petfolio up` offers Google, Apple and Facebook: each can be signed in with, and mails tell what happened."""

import httpx
import pytest

from domain.oauth import Provider
from tests.sign_in_providers import Visitor, said, somebody
from tests.stack import Inbox, Stack

pytestmark = pytest.mark.timeout(180)


async def test_people_sign_in_with_each_provider_of_the_local_stack(
    stack: Stack, client: httpx.AsyncClient, inbox: Inbox
) -> None:
    api = (await stack.status())["api_url"].replace("127.0.0.1", "localhost")
    assert (await client.get("/api/v1/auth/oauth")).json() == {"providers": ["google", "apple", "facebook"]}
    async with httpx.AsyncClient(timeout=20) as http:
        for provider in (Provider.GOOGLE, Provider.APPLE):
            answer = await Visitor.of(http, api).sign_in(provider, somebody())
            assert answer.status_code == 200, answer.text
        person = somebody()
        assert said(await Visitor.of(http, api).visit(Provider.FACEBOOK, person)) == {"error": "confirm_address"}
        mail = await inbox.mail_with(person["email"], "/verify-email?token=")
        token = mail["text"].partition("?token=")[2].split()[0]
        assert (await client.post("/api/v1/auth/verify-email", json={"token": token})).status_code == 204
        assert (await Visitor.of(http, api).sign_in(Provider.FACEBOOK, person)).status_code == 200
        # Facebook speaks for no address: Google does, so it is linked, and the person is told.
        assert (await Visitor.of(http, api).sign_in(Provider.GOOGLE, person)).status_code == 200
        assert await inbox.mail_with(person["email"], "sign in to Petfolio with Google")
