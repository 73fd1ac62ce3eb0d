"""The embedded catalogue, quicker to search: items narrow, their documents apart; chosen properties as columns with an
index each; words for free text. (On PostgreSQL the catalogue is pgstac's, see `stac/pgstac_schema.py`.)"""

from alembic import op

revision = "0005_catalog_search"
down_revision = "0004_flights"

# As they were chosen in this revision: name of the property, its column, the JSON types it is indexed under.
NUMBER, TEXT = ("REAL", "'integer', 'real'"), ("TEXT", "'text'")
CHOSEN = (
    ("gsd", "p_gsd", NUMBER),
    ("title", "p_title", TEXT),
    ("platform", "p_platform", TEXT),
    ("flyonce:department", "p_department", TEXT),
    ("flyonce:security", "p_security", TEXT),
    ("flyonce:flight", "p_flight", TEXT),
    ("flyonce:model", "p_model", TEXT),
    ("flyonce:footprint_method", "p_footprint_method", TEXT),
    ("flyonce:footprint_error_m", "p_footprint_error_m", NUMBER),
    ("flyonce:retain_until", "p_retain_until", TEXT),
    ("flyonce:captures", "p_captures", NUMBER),
    ("flyonce:analysed_m2", "p_analysed_m2", NUMBER),
    ("flyonce:height_above_ground", "p_height_above_ground", NUMBER),
    ("view:off_nadir", "p_view_off_nadir", NUMBER),
)
COLUMNS = ", ".join(f"{column} {kind}" for _, column, (kind, _) in CHOSEN)
VALUES = ", ".join(
    f"CASE WHEN json_type(properties, '$.\"{name}\"') IN ({types}) THEN json_extract(properties, '$.\"{name}\"') END"
    for name, _, (_, types) in CHOSEN
)

STATEMENTS = (
    "ALTER TABLE catalog_items RENAME TO catalog_items_before",
    "DROP INDEX catalog_items_by_id",
    "DROP INDEX catalog_items_newest",
    "DROP INDEX catalog_items_newest_of",
    "DROP INDEX catalog_items_span",
    f"""
    CREATE TABLE catalog_items (
      row INTEGER PRIMARY KEY,
      collection TEXT NOT NULL REFERENCES catalog_collections (id),
      id TEXT NOT NULL,
      -- Microseconds since 1970; datetime_us lies within start_us and end_us.
      datetime_us INTEGER NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
      -- Degrees; west > east crosses the antimeridian; all NULL without a geometry, which is WKB.
      west REAL, south REAL, east REAL, north REAL, geometry BLOB,
      {COLUMNS}
    )
    """,
    """
    CREATE TABLE catalog_documents (
      row INTEGER PRIMARY KEY REFERENCES catalog_items (row) ON DELETE CASCADE,
      properties TEXT NOT NULL,
      body TEXT NOT NULL
    )
    """,
    f"""
    INSERT INTO catalog_items
    SELECT row, collection, id, datetime_us, start_us, end_us, west, south, east, north, geometry, {VALUES}
    FROM catalog_items_before
    """,  # noqa: S608 - names and types of this file
    "INSERT INTO catalog_documents SELECT row, properties, body FROM catalog_items_before",
    # What free text finds, folded by the program that writes it; rows from before are folded as far as SQLite can.
    "CREATE VIRTUAL TABLE catalog_words USING fts5 (words, tokenize = 'trigram')",
    """
    INSERT INTO catalog_words (rowid, words)
    SELECT row, lower(id || char(10) || coalesce(json_extract(properties, '$.title'), '')
      || char(10) || coalesce(json_extract(properties, '$.description'), '')) FROM catalog_items_before
    """,
    """
    CREATE TABLE catalog_files_now (
      sha256 TEXT NOT NULL,
      row INTEGER NOT NULL REFERENCES catalog_items (row) ON DELETE CASCADE,
      PRIMARY KEY (sha256, row)
    ) WITHOUT ROWID
    """,
    "INSERT INTO catalog_files_now SELECT sha256, row FROM catalog_files",
    "DROP TABLE catalog_files",
    "ALTER TABLE catalog_files_now RENAME TO catalog_files",
    "CREATE INDEX catalog_files_of ON catalog_files (row)",
    "DROP TABLE catalog_items_before",
    "CREATE UNIQUE INDEX catalog_items_by_id ON catalog_items (id, collection)",
    "CREATE INDEX catalog_items_newest ON catalog_items (datetime_us DESC, collection, id)",
    "CREATE INDEX catalog_items_newest_of ON catalog_items (collection, datetime_us DESC, id)",
    "CREATE INDEX catalog_items_span ON catalog_items (end_us - start_us)",
    *(
        f"CREATE INDEX catalog_items_{column} ON catalog_items ({column}) WHERE {column} IS NOT NULL"
        for _, column, _ in CHOSEN
    ),
    # Virtual tables take part in no foreign key.
    """
    CREATE TRIGGER catalog_items_gone AFTER DELETE ON catalog_items BEGIN
      DELETE FROM catalog_words WHERE rowid = old.row;
      DELETE FROM catalog_boxes WHERE id IN (2 * old.row, 2 * old.row + 1);
    END
    """,
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in STATEMENTS:
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("items cannot be had back from their files alone: restore a backup instead of going back")
