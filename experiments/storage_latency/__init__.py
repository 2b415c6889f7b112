"""The experiment storage-latency; experiment.toml says what it asks."""
