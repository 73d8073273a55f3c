"""Everybody sees what was done to their account, and nothing of anybody else's."""

from uuid import UUID

from tests.api.signing_in import Api

DENIED = "access.denied"


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


async def test_what_my_role_did_not_allow_is_in_it(api: Api) -> None:
    person, owner = await api.person(), await api.person()
    home = (await owner.request("GET", "/households")).json()["items"][0]["id"]
    await api.identity.db.reads.execute(
        "UPDATE memberships SET role = 'caretaker', household_id = $2 WHERE user_id = $1", person.user_id, UUID(home)
    )
    refused = [
        await person.request("PATCH", f"/households/{home}", {"name": "Mine"}),
        await person.request("GET", f"/households/{home}/audit"),
        await person.request("GET", "/staff/break-glass"),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    entries = (await person.request("GET", "/users/audit")).json()["items"]
    denied = [(entry["object"], entry["outcome"], entry["actor"]) for entry in entries if entry["action"] == DENIED]
    assert denied == [(what, "refused", "you") for what in ("list_looks", "list_household_audit", "change_household")]


async def test_a_refusal_of_nobody_we_know_is_not_written_down(api: Api) -> None:
    count = f"SELECT count(*) FROM audit_log WHERE action = '{DENIED}'"
    before = await api.identity.db.reads.fetchval(count)
    assert (await api.get("/staff/break-glass")).status_code == 401
    assert (await api.get("/staff/break-glass", "not.a.token")).status_code == 401
    assert await api.identity.db.reads.fetchval(count) == before
