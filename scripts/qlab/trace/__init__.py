"""Traces of consensus groups, read and told: docs/trace.md has the events."""
