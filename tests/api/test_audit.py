"""Everybody sees what was done to their account, and nothing of anybody else's."""

from tests.api.signing_in import Api


async def test_my_log_tells_of_sign_ins_and_of_refusals_with_where_they_came_from(api: Api) -> None:
    person, stranger = await api.person(), await api.person()
    assert (await api.login(person.email, "not my password at all")).status_code == 401
    page = (await person.request("GET", "/users/audit")).json()
    newest = page["items"][0]
    assert (newest["action"], newest["outcome"], newest["actor"]) == ("auth.login", "refused", "anonymous")
    signed_in = next(entry for entry in page["items"] if entry["action"] == "auth.login" and entry["outcome"] == "ok")
    assert signed_in["actor"] == "you"
    assert signed_in["from_here"] is True
    sessions = (await person.request("GET", "/auth/sessions")).json()["items"]
    assert signed_in["session_id"] in [session["id"] for session in sessions]
    theirs = (await stranger.request("GET", "/users/audit")).json()["items"]
    assert not {entry["id"] for entry in page["items"]} & {entry["id"] for entry in theirs}


async def test_my_log_comes_in_pages(api: Api) -> None:
    person = await api.person()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await person.request("GET", f"/users/audit?limit=1{f'&cursor={cursor}' if cursor else ''}")).json()
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) >= 3
    assert seen == sorted(seen, reverse=True)
