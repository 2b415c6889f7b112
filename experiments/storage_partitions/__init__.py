"""The experiment storage-partitions; experiment.toml says what it asks."""
