"""How a database comes to this program's schema, one revision after another."""
