"""Alembic's environment: the connection comes from `app.store.migrate`."""

from alembic import context

from app.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=True,
    transactional_ddl=False,  # the caller holds the one transaction
    user_module_prefix="types.",
)
context.run_migrations()
