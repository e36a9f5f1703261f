"""Headless verbs over the Client."""
