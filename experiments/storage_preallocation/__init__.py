"""The experiment storage-preallocation; experiment.toml says what it asks."""
