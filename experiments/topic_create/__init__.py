"""Topics are made, at many numbers of partitions."""
