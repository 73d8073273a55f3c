"""The scanner of the settings: rules of ours, and a ClamAV daemon where one is named."""

from urllib.parse import urlsplit

from core.settings import Settings
from integrations.scanning.clamd import ClamdScanner
from integrations.scanning.every import EveryScanner
from integrations.scanning.protocol import Scanner
from integrations.scanning.yara import YaraScanner


class ScanningMisconfigured(RuntimeError):
    """The process must not start: the sentence names the setting."""


def open_scanner(settings: Settings) -> Scanner:
    """Compiles the rules; connects at the first scan. Raises `ScanningMisconfigured` for a site that is served to
    others and has no virus scanner."""
    about, served = settings.scanning, urlsplit(settings.public_url)
    rules = YaraScanner(about.rules_seconds)
    if about.clamd:
        return EveryScanner([rules, ClamdScanner(about.clamd, about.clamd_seconds)])
    if served.scheme == "https" and served.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ScanningMisconfigured(f"PETFOLIO_SCANNING__CLAMD must name a ClamAV daemon for {settings.public_url}")
    return rules
