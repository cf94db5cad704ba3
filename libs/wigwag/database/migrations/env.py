"""What alembic runs around the migrations; ``wigwag.database.migrations`` hands the connection over."""

from alembic import context

from wigwag.database.migrations import VERSION_TABLE

if context.is_offline_mode():
    context.configure(dialect_name=context.config.attributes["dialect"], version_table=VERSION_TABLE)
else:
    context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
