"""The experiment partition-replication; experiment.toml says what it asks."""
