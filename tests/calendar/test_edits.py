"""The account of edits finds what it is there to find."""

from collections.abc import Mapping

from tests.calendar.edits import Edits, Texts, Verdict


def event(title: str, location: str = "", notes: str = "") -> Texts:
    return {"title": title, "location": location, "notes": notes}


def edited() -> tuple[Edits, Mapping[str, str]]:
    """Somebody made an event and gave it another title; somebody else who saw neither gave it a place."""
    edits = Edits()
    key = edits.new_event()
    first, second, place = (edits.word(key) for _ in range(3))
    edits.wrote(first)
    edits.wrote(second, over=first)
    edits.wrote(place)
    return edits, {"first": first, "second": second, "place": place}


def test_what_was_overwritten_knowingly_may_go() -> None:
    edits, words = edited()
    held = [event(words["second"], words["place"])]
    assert edits.verdict({"here": held, "there": held}, ()) == Verdict()


def test_a_word_that_nobody_overwrote_is_lost_unless_the_log_has_it() -> None:
    edits, words = edited()
    held = {"here": [event(words["second"])], "there": [event(words["second"])]}
    assert edits.verdict(held, ()) == Verdict(lost=frozenset({words["place"]}))
    assert edits.verdict(held, {words["place"]}) == Verdict()


def test_an_event_that_was_deleted_by_somebody_who_saw_all_of_it_stays_away() -> None:
    edits, words = edited()
    seen = event(words["second"], words["place"])
    edits.removed("e1", seen)
    assert edits.verdict({"here": [], "there": []}, ()) == Verdict()
    assert edits.verdict({"here": [seen], "there": [seen]}, ()) == Verdict(risen=frozenset({"e1"}))


def test_an_edit_that_the_deleter_did_not_see_brings_it_back() -> None:
    edits, words = edited()
    edits.removed("e1", event(words["second"]))
    held = [event(words["second"], words["place"])]
    assert edits.verdict({"here": held, "there": held}, ()) == Verdict()
    assert edits.verdict({"here": [], "there": []}, ()) == Verdict(lost=frozenset({words["place"]}))


def test_copies_and_differences_are_seen() -> None:
    edits, words = edited()
    held = event(words["second"], words["place"])
    found = edits.verdict({"here": [held], "there": [held, held]}, ())
    assert found.doubled == {"e1"}
    assert list(found.differing) == ["there"]
