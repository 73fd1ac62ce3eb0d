"""Alembic's environment: runs the revisions inside the transaction that `records.engine.migrate` opened."""

from alembic import context

connection = context.config.attributes["connection"]
# The caller's transaction holds the lock that keeps other processes out, so Alembic neither begins nor commits its own.
context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=False)
context.run_migrations()
