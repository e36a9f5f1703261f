"""The engine put together: store, services and API joined into one process."""
