"""Ids of work that another service does for us."""

import sqlalchemy as sa
from alembic import op

revision = "0009_outside_tasks"
down_revision = "0008_ground_and_time"


def upgrade() -> None:
    op.create_table(
        "outside_tasks",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("service", sa.String(500), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("begun", sa.String(27), nullable=False),
    )
