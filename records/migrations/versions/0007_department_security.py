"""The embedded catalogue's index of departments goes on to the security class: access is decided by them, so they are
asked for together. (On PostgreSQL the catalogue is pgstac's, see `stac/pgstac_schema.py`.)"""

from alembic import op

revision = "0007_department_security"
down_revision = "0006_jobs"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP INDEX catalog_items_p_department")
        op.execute(
            "CREATE INDEX catalog_items_p_department ON catalog_items (p_department, p_security) "
            "WHERE p_department IS NOT NULL"
        )


def downgrade() -> None:
    raise NotImplementedError("items cannot be had back from their files alone: restore a backup instead of going back")
