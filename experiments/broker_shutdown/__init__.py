"""A broker shuts down in good order, at many numbers of partitions."""
