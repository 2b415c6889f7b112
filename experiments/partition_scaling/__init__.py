"""The experiment partition-scaling; experiment.toml says what it asks."""
