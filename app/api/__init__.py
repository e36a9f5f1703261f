"""The operator-facing REST API and event stream."""
