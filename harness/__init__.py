"""Real processes, real faults, histories and checkers: how Quorumlab tests itself from outside.

The package knows the node binary, its wire protocols and its files; it never looks inside the C++.
Start with `cluster.LocalCluster`; `plugin` makes fixtures of it.
"""
