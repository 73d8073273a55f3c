"""Part of `make check`: what we build on may be used as we use it, and is used at all. Reads installed metadata, so no
network is needed.

A licence that is not on the list stops the check: somebody reads it and adds it here, or the package goes.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES: Final = "api activities core domain infra integrations models temporal workers workflows".split()
ALLOWED: Final = frozenset(
    "0bsd apache-2.0 bsd bsd-2-clause bsd-3-clause isc mit mit-0 mit-cmu mpl-2.0 psf-2.0 python-2.0 unlicense".split()
)
"""Permissive ones, and the MPL, whose duties end with its own files. Not the GPL's family."""
SHARED_LIBRARIES: Final = {
    "pi-heif": "libheif and libde265, to read HEIC; pillow-heif would bring x265 for writing it, under the GPL",
    "pyvips-binary": "libvips",
}
"""Wheels of libraries under the LGPL. We load them as they are, and whoever runs us may exchange them."""
_SPELLINGS: Final = {
    "3-clause bsd license": "bsd-3-clause",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache software license": "apache-2.0",
    "bsd license": "bsd",
    "bsd-3-clause, apache-2.0, dependency licenses": "bsd-3-clause",  # pypdfium2; PDFium's parts are permissive
    "bsd 3-clause": "bsd-3-clause",
    "isc license (iscl)": "isc",
    "mit license": "mit",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0",
    "python software foundation license": "psf-2.0",
    "the unlicense (unlicense)": "unlicense",
}
_IMPORTED_AS: Final = {
    "argon2-cffi": "argon2",
    "google-api-python-client": "googleapiclient",
    "http-ece": "http_ece",
    "msgraph-sdk": "msgraph",
    "opentelemetry-api": "opentelemetry",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
    "python-dateutil": "dateutil",
    "python-socketio": "socketio",
    "swagger-ui-py": "swagger_ui",
}
_NOT_IMPORTED: Final = {
    "httptools": "uvicorn parses requests with it",
    "websockets": "uvicorn's WebSockets",
    "sniffio": "httpcore looks for it at each request, and where it is missing again at the next",
    "pyvips-binary": "libvips itself, which pyvips loads",
    "tzdata": "the pinned zone data",
    "swagger-ui-py": "its static files are served",
}
"""Declared without an import of ours, and why."""


def main() -> int:
    """Print what is wrong; answer the exit code."""
    problems = [*foreign_licences(), *unused()]
    for problem in problems:
        print(f"FAILED dependencies: {problem}")
    if not problems:
        print("OK dependencies: licences are known, and what is declared is used")
    return 1 if problems else 0


def foreign_licences() -> Iterator[str]:
    """Packages of the runtime lock whose licence nobody has agreed to."""
    for name in _locked():
        choices = _licences(metadata.metadata(name))
        if name not in SHARED_LIBRARIES and not any(choice <= ALLOWED for choice in choices):
            yield f"{name}: {' or '.join(' and '.join(sorted(choice)) for choice in choices) or 'names no licence'}"


def unused() -> Iterator[str]:
    """Declared packages that nothing of ours imports."""
    imported = set(_imported())
    for name in _declared():
        if name not in _NOT_IMPORTED and _IMPORTED_AS.get(name, name.replace("-", "_")) not in imported:
            yield f"{name}: declared in pyproject.toml and imported nowhere"


def _locked() -> Iterator[str]:
    """The packages of requirements.lock that this platform installs."""
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==[^ ;]+(?: ; (.+?))?(?: \\)?$", line)
        if found and (found[2] is None or Marker(found[2]).evaluate()):
            yield canonicalize_name(found[1])


def _licences(about: metadata.PackageMetadata) -> list[set[str]]:
    """The choices that are left to us, each a set of licences that hold together (AND binds before OR in SPDX). From
    the expression, else from classifiers, else from the field that holds what its author pleases."""
    if expression := _first(about, "License-Expression"):
        return [_named(re.split(" AND | WITH ", choice.strip("() "))) for choice in expression.split(" OR ")]
    classifiers = [line.split("::")[-1].strip() for line in about.get_all("Classifier") or () if "License ::" in line]
    if named := [name for name in classifiers if name != "OSI Approved"]:
        return [_named(named)]
    return [_named([choice]) for choice in _first(about, "License").split("\n")[0].split(" OR ") if choice]


def _named(words: Iterable[str]) -> set[str]:
    lowered = (word.strip().lower() for word in words)
    return {_SPELLINGS.get(word, word) for word in lowered}


def _first(about: metadata.PackageMetadata, field: str) -> str:
    return next(iter(about.get_all(field) or ()), "")


def _declared() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [canonicalize_name(Requirement(line).name) for line in project["dependencies"]]


def _imported() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


if __name__ == "__main__":
    sys.exit(main())
