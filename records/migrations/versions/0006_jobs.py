"""Jobs that can be cancelled, and that say how fast they are."""

import sqlalchemy as sa
from alembic import op

revision = "0006_jobs"
down_revision = "0005_catalog_search"

_NAME = "ck_jobs_state"
_STATES = "state IN ('queued', 'running', 'done', 'failed', 'cancelled')"


def upgrade() -> None:
    # SQLite changes no constraint in place: there the table is made anew and its rows are copied.
    with op.batch_alter_table("jobs") as table:
        table.drop_constraint(op.f(_NAME), type_="check")
        table.create_check_constraint(op.f(_NAME), _STATES)
        table.add_column(sa.Column("pace", sa.JSON))
