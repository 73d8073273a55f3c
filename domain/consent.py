"""What people agree to, and the words they were shown. The last event of a purpose is its state; without one nobody
has agreed (reliability-and-privacy.md §4.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from core.errors import Conflict, FieldProblem, Invalid


class Purpose(StrEnum):
    """What data is used for beyond what the service needs."""

    SMS = "sms"
    ANALYTICS = "analytics"
    MARKETING = "marketing"
    SALE_OR_SHARE = "sale_or_share"
    """In the words of the CCPA. We do neither; `Sec-GPC: 1` is kept as a refusal all the same."""


class ConsentAction(StrEnum):
    """What a person said."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class ConsentSource(StrEnum):
    """How they said it: in the app, or through their browser (globalprivacycontrol.org)."""

    APP = "app"
    GPC = "gpc"


class WordingOutdated(Conflict):
    """409: the words that were shown are not the present ones. They have to be shown anew."""

    code = "wording_outdated"


class SignalSaysNo(Conflict):
    """409: the browser's Global Privacy Control says no to what would be granted."""

    code = "gpc_signal"


@dataclass(frozen=True, slots=True)
class Wording:
    """One version of what is agreed to, in every language. Another text is another version: it is proof."""

    version: str
    texts: Mapping[str, str]

    def text(self, locale: str) -> tuple[str, str]:
        """The language and the words; English where we do not speak the locale's."""
        spoken = locale.partition("-")[0].lower()
        language = spoken if spoken in self.texts else "en"
        return language, self.texts[language]


WORDINGS: Final[Mapping[Purpose, Wording]] = MappingProxyType(
    {
        Purpose.SMS: Wording(
            "2026-11",
            {
                "en": "Petfolio may send reminders to my phone number as text messages. My provider may charge for "
                "receiving them abroad. I can withdraw this at any time in the settings.",
                "de": "Petfolio darf mir Erinnerungen als SMS an meine Telefonnummer senden. Für den Empfang im "
                "Ausland kann mein Anbieter Kosten berechnen. Ich kann das jederzeit in den Einstellungen widerrufen.",
            },
        ),
        Purpose.ANALYTICS: Wording(
            "2026-11",
            {
                "en": "Petfolio may record which functions I use, without names or addresses, to improve them. I can "
                "withdraw this at any time in the settings.",
                "de": "Petfolio darf festhalten, welche Funktionen ich nutze, ohne Namen und Adressen, um sie zu "
                "verbessern. Ich kann das jederzeit in den Einstellungen widerrufen.",
            },
        ),
        Purpose.MARKETING: Wording(
            "2026-11",
            {
                "en": "Petfolio may send me news and offers. I can withdraw this at any time in the settings or with "
                "the link in every mail.",
                "de": "Petfolio darf mir Neuigkeiten und Angebote senden. Ich kann das jederzeit in den Einstellungen "
                "oder mit dem Link in jeder Mail widerrufen.",
            },
        ),
        Purpose.SALE_OR_SHARE: Wording(
            "2026-11",
            {
                "en": "Petfolio neither sells my personal information nor shares it for advertising across other "
                "services. This records whether I would allow it.",
                "de": "Petfolio verkauft meine personenbezogenen Daten nicht und teilt sie nicht für Werbung auf "
                "anderen Diensten. Hier ist festgehalten, ob ich das erlauben würde.",
            },
        ),
    }
)


def wording_for(purpose: Purpose, action: ConsentAction, shown: str | None, *, refused_by_signal: bool) -> Wording:
    """The wording an event is recorded with. Withdrawing asks for nothing; granting names the version that was shown.

    Raises `Invalid` without one, `WordingOutdated` for another than the present one, `SignalSaysNo`.
    """
    wording = WORDINGS[purpose]
    if action is ConsentAction.WITHDRAWN:
        return wording
    if refused_by_signal and purpose is Purpose.SALE_OR_SHARE:
        raise SignalSaysNo("your browser sends Sec-GPC: 1; switch the signal off for this site to allow it")
    if shown is None:
        problem = FieldProblem("/wording", "missing_field", "granting names the version that was shown")
        raise Invalid("the wording is missing", errors=(problem,))
    if shown != wording.version:
        raise WordingOutdated("the words have changed; show the present ones", extra={"wording": wording.version})
    return wording
