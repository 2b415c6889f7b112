"""A broker dies or falls silent, at many numbers of partitions."""
