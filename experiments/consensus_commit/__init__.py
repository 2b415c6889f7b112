"""The experiment consensus-commit; experiment.toml says what it asks."""
