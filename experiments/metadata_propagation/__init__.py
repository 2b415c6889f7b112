"""Small changes on their way to all brokers, at many numbers of partitions."""
