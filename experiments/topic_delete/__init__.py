"""Topics are deleted, at many numbers of partitions."""
