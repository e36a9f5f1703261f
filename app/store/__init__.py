"""Where state lives: SQLite tables, the lease journal, the event ring, the in-memory directory."""
