"""Events, their sightings, and the day's last ticket number."""

import sqlalchemy as sa
from alembic import op

revision = "0002_tickets"
down_revision = "0001_books"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("area_m2", sa.Float, nullable=False),
        sa.Column("error_m", sa.Float, nullable=False),
        sa.Column("geometry", sa.JSON, nullable=False),
        sa.Column("lon", sa.Float, nullable=False),
        sa.Column("lat", sa.Float, nullable=False),
        sa.Column("west", sa.Float, nullable=False),
        sa.Column("south", sa.Float, nullable=False),
        sa.Column("east", sa.Float, nullable=False),
        sa.Column("north", sa.Float, nullable=False),
        sa.Column("first_seen", sa.String(27), nullable=False),
        sa.Column("last_seen", sa.String(27), nullable=False),
        sa.Column("flight", sa.String(200), nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("ticket", sa.String(32)),
        sa.Column("approved_by", sa.String(200)),
        sa.Column("merged_into", sa.String(32)),
        sa.Column("changed", sa.String(27), nullable=False),
        sa.UniqueConstraint("ticket", name=op.f("uq_events_ticket")),
        sa.ForeignKeyConstraint(["merged_into"], ["events.id"], name=op.f("fk_events_merged_into")),
    )
    op.create_index("ix_events_state_first_seen_id", "events", ["state", "first_seen", "id"])
    op.create_index("ix_events_class_west", "events", ["class", "west"])

    op.create_table(
        "sightings",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("flight", sa.String(200), nullable=False),
        sa.Column("class", sa.String(64), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("area_m2", sa.Float, nullable=False),
        sa.Column("error_m", sa.Float, nullable=False),
        sa.Column("geometry", sa.JSON, nullable=False),
        sa.Column("seen", sa.String(27), nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["event"], ["events.id"], name=op.f("fk_sightings_event")),
    )
    op.create_index("ix_sightings_event_seen", "sightings", ["event", "seen"])

    op.create_table(
        "ticket_numbers",
        sa.Column("day", sa.String(8), primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError("the books are append-only: restore a backup instead of going back")
