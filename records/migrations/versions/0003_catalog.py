"""The embedded catalogue: collections, items and their boxes. On PostgreSQL pgstac keeps its own schema."""

from alembic import op

revision = "0003_catalog"
down_revision = "0002_tickets"

STATEMENTS = (
    """
    CREATE TABLE catalog_collections (
      id TEXT NOT NULL PRIMARY KEY,
      body TEXT NOT NULL,
      -- What the items of the collection cover; NULL while there are none.
      west REAL, south REAL, east REAL, north REAL, start_us INTEGER, end_us INTEGER
    )
    """,
    """
    CREATE TABLE catalog_items (
      row INTEGER PRIMARY KEY,
      collection TEXT NOT NULL REFERENCES catalog_collections (id),
      id TEXT NOT NULL,
      -- Microseconds since 1970; datetime_us lies within start_us and end_us.
      datetime_us INTEGER NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
      -- Degrees; west > east crosses the antimeridian; all NULL without a geometry, which is WKB.
      west REAL, south REAL, east REAL, north REAL, geometry BLOB,
      properties TEXT NOT NULL,
      body TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX catalog_items_by_id ON catalog_items (id, collection)",
    "CREATE INDEX catalog_items_newest ON catalog_items (datetime_us DESC, collection, id)",
    "CREATE INDEX catalog_items_newest_of ON catalog_items (collection, datetime_us DESC, id)",
    "CREATE INDEX catalog_items_span ON catalog_items (end_us - start_us)",
    # Which items hand out a file: an asset is served only where one of them may be seen.
    """
    CREATE TABLE catalog_files (
      sha256 TEXT NOT NULL,
      row INTEGER NOT NULL REFERENCES catalog_items (row) ON DELETE CASCADE,
      PRIMARY KEY (sha256, row)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX catalog_files_of ON catalog_files (row)",
    "CREATE VIRTUAL TABLE catalog_boxes USING rtree (id, west, east, south, north)",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in STATEMENTS:
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("items cannot be had back from their files alone: restore a backup instead of going back")
