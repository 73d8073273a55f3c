"""Alembic's entry: always online, always through the connection that `models.migrate` hands over."""

from alembic import context

from models.tables import metadata


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Leave the hash partitions to their parent."""
    return not (kind == "table" and name is not None and name.startswith("health_records_p"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=include_name,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
