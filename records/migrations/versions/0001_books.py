"""The books: jobs, outbox, receipts of files, chained history."""

import sqlalchemy as sa
from alembic import op

revision = "0001_books"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("not_before", sa.String(27), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(200)),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until", sa.String(27)),
        sa.Column("progress", sa.Float),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.Column("finished", sa.String(27)),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name=op.f("ck_jobs_state")),
    )
    op.create_index("ix_jobs_state_created_id", "jobs", ["state", "created", "id"])

    op.create_table(
        "outbox",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("topic", sa.String(64), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("created", sa.String(27), nullable=False),
        sa.Column("not_before", sa.String(27), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("delivered", sa.String(27)),
    )
    op.create_index("ix_outbox_topic_delivered_created_key", "outbox", ["topic", "delivered", "created", "key"])

    op.create_table(
        "receipts",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("flight", sa.String(200), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("item", sa.Text),
        sa.Column("received", sa.String(27), nullable=False),
        sa.CheckConstraint("outcome IN ('accepted', 'duplicate', 'quarantined')", name=op.f("ck_receipts_outcome")),
    )
    op.create_index("ix_receipts_flight_id", "receipts", ["flight", "id"])
    op.create_index("ix_receipts_sha256", "receipts", ["sha256"])

    op.create_table(
        "history",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("stream", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_history_stream_seq", "history", ["stream", "seq"])
    head = op.create_table(
        "history_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_history_head_one_row")),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    statements = _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the books are append-only: restore a backup instead of going back")


_SQLITE = [
    """CREATE TRIGGER history_no_update BEFORE UPDATE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TRIGGER history_no_delete BEFORE DELETE ON history
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    # Also keeps INSERT OR REPLACE from putting another row in an old one's place.
    """CREATE TRIGGER history_in_order BEFORE INSERT ON history
        WHEN NEW.seq <> (SELECT seq + 1 FROM history_head)
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TRIGGER history_head_forward BEFORE UPDATE ON history_head
        WHEN NEW.seq <> OLD.seq + 1 OR NEW.id <> 1
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TRIGGER history_head_no_delete BEFORE DELETE ON history_head
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
    """CREATE TRIGGER history_head_no_insert BEFORE INSERT ON history_head
        BEGIN SELECT RAISE(ABORT, 'the history is append-only'); END""",
]

_POSTGRESQL = [
    """CREATE FUNCTION history_forbid() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'the history is append-only'; END $$""",
    """CREATE FUNCTION history_check_order() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.seq <> (SELECT seq + 1 FROM history_head) THEN RAISE EXCEPTION 'the history is append-only'; END IF;
            RETURN NEW;
        END $$""",
    """CREATE FUNCTION history_check_head() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.seq <> OLD.seq + 1 OR NEW.id <> 1 THEN RAISE EXCEPTION 'the history is append-only'; END IF;
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER history_no_change BEFORE UPDATE OR DELETE ON history
        FOR EACH ROW EXECUTE FUNCTION history_forbid()""",
    "CREATE TRIGGER history_no_truncate BEFORE TRUNCATE ON history EXECUTE FUNCTION history_forbid()",
    "CREATE TRIGGER history_in_order BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION history_check_order()",
    """CREATE TRIGGER history_head_forward BEFORE UPDATE ON history_head
        FOR EACH ROW EXECUTE FUNCTION history_check_head()""",
    """CREATE TRIGGER history_head_no_change BEFORE INSERT OR DELETE ON history_head
        FOR EACH ROW EXECUTE FUNCTION history_forbid()""",
    "CREATE TRIGGER history_head_no_truncate BEFORE TRUNCATE ON history_head EXECUTE FUNCTION history_forbid()",
]
