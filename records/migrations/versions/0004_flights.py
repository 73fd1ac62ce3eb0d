"""Flights as batches with the files that belong to them, and uploads on their way in."""

import sqlalchemy as sa
from alembic import op

revision = "0004_flights"
down_revision = "0003_catalog"


def upgrade() -> None:
    op.create_table(
        "flights",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("department", sa.String(200), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("pilot", sa.Text, nullable=False),
        sa.Column("operator_licence", sa.Text, nullable=False),
        sa.Column("airspace_approval", sa.Text, nullable=False),
        sa.Column("security", sa.String(16), nullable=False),
        sa.Column("retain_until", sa.String(10)),
        sa.Column("open_ended", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("closed_by", sa.String(200)),
        sa.Column("close_reason", sa.Text, nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("changed", sa.String(27), nullable=False),
        sa.Column("take_job", sa.String(32)),
        sa.Column("look_job", sa.String(32)),
        sa.CheckConstraint("state IN ('receiving', 'complete', 'processed')", name=op.f("ck_flights_state")),
    )
    op.create_index("ix_flights_created_id", "flights", ["created", "id"])

    op.create_table(
        "flight_files",
        sa.Column("flight", sa.String(200), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("answer", sa.JSON),
        sa.Column("sender", sa.String(200), nullable=False),
        sa.Column("sender_role", sa.String(16), nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
        sa.Column("looked", sa.Boolean, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("changed", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("flight", "name", name=op.f("pk_flight_files")),
        sa.ForeignKeyConstraint(["flight"], ["flights.id"], name=op.f("fk_flight_files_flight")),
        sa.CheckConstraint("state IN ('expected', 'received', 'answered')", name=op.f("ck_flight_files_state")),
    )
    op.create_index("ix_flight_files_flight_state", "flight_files", ["flight", "state"])

    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("flight", sa.String(200), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("concat", sa.Text, nullable=False),
        sa.Column("declared", sa.String(64)),
        sa.Column("sha256", sa.String(64)),
        sa.Column("sender", sa.String(200), nullable=False),
        sa.Column("sender_role", sa.String(16), nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("expires", sa.String(27), nullable=False),
        sa.CheckConstraint("state IN ('open', 'finished', 'terminated', 'expired')", name=op.f("ck_uploads_state")),
    )
    op.create_index("ix_uploads_flight_state", "uploads", ["flight", "state"])
    op.create_index("ix_uploads_state_expires", "uploads", ["state", "expires"])


def downgrade() -> None:
    raise NotImplementedError("the books are append-only: restore a backup instead of going back")
