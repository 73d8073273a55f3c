"""What operators can search for. One list, registered everywhere; never encrypted, hence never personal.

A namespace has room for 10 Keyword and 3 of each other type; each upsert costs one Temporal action (temporal.md §4.9).
"""

from typing import Final

from temporalio.common import SearchAttributeKey

OWNER: Final = SearchAttributeKey.for_keyword("PfOwner")
"""The first two segments of the workflow id; on `system/…` workflows those of the person they act for."""
PET: Final = SearchAttributeKey.for_keyword("PfPetId")
STATE: Final = SearchAttributeKey.for_keyword("PfState")
"""`active`, `paused`, `overdue` or `ended`; upserted only when it changes."""
NEXT_FIRE: Final = SearchAttributeKey.for_datetime("PfNextFireAt")
"""Set at start and at continue-as-new; the exact next time stands in the current details and in SQL."""

ALL: Final = (OWNER, PET, STATE, NEXT_FIRE)
