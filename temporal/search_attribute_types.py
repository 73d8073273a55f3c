"""The names and types of `search_attributes.py` in the words of `temporal server start-dev --search-attribute`.

Without the SDK, whose import costs 0.3 s and 40 MB: the supervisor of the local stack only passes the words on.
"""

from collections.abc import Mapping
from typing import Final

CLI_TYPES: Final[Mapping[str, str]] = {
    "PfOwner": "Keyword",
    "PfPetId": "Keyword",
    "PfState": "Keyword",
    "PfNextFireAt": "Datetime",
}
