"""The namespace as this project needs it: histories kept for seven days, our search attributes known.

Idempotent. Where an installation does not let us (Temporal Cloud has its own ways), it is left alone and logged.
"""

from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError, RPCStatusCode

from core.logging import logger
from temporal.search_attributes import ALL

log = logger(__name__)

RETENTION: Final = timedelta(days=7)
"""Histories are personal data (reliability-and-privacy.md §2)."""

_NOT_OURS: Final = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED})
_TYPES: Final = {
    SearchAttributeIndexedValueType.KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    SearchAttributeIndexedValueType.DATETIME: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
}


async def ensure_namespace(client: Client) -> None:
    """Create it or correct its retention, then add the search attributes it lacks. Raises RPCError."""
    try:
        await _ensure_retention(client)
        await _ensure_search_attributes(client)
    except RPCError as error:
        if error.status not in _NOT_OURS:
            raise
        log.warning("namespace_left_alone", reason=error.status.name)


async def _ensure_retention(client: Client) -> None:
    wanted = Duration()
    wanted.FromTimedelta(RETENTION)
    try:
        found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=wanted)
        )
        return
    if found.config.workflow_execution_retention_ttl != wanted:
        config = NamespaceConfig(workflow_execution_retention_ttl=wanted)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(namespace=client.namespace, config=config)
        )


async def _ensure_search_attributes(client: Client) -> None:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    missing = {key.name: _TYPES[key.indexed_value_type] for key in ALL if key.name not in known.custom_attributes}
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )
