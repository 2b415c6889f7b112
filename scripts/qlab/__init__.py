"""The `qlab` command: click commands over the build, the tests, the harness and the experiments."""
