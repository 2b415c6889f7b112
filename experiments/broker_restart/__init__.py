"""A broker comes back, at many numbers of partitions."""
