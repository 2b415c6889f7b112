"""The active controller dies or falls silent, at many numbers of partitions."""
