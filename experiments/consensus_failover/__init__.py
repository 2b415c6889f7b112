"""The experiment consensus-failover; experiment.toml says what it asks."""
