"""The screens: one module for each top-level area and for what is opened from it."""
