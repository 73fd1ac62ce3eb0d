"""What a sender says of a flight's ground and of its logs' clocks, for whoever reads its files later."""

import sqlalchemy as sa
from alembic import op

revision = "0008_ground_and_time"
down_revision = "0007_department_security"


def upgrade() -> None:
    op.add_column("flights", sa.Column("terrain", sa.String(64)))
    op.add_column("flight_files", sa.Column("log_offset", sa.Float))
