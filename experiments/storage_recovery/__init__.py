"""The experiment storage-recovery; experiment.toml says what it asks."""
