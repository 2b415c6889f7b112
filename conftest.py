"""Where pytest begins: the fixtures and options of harness/plugin.py are there for all tests."""

pytest_plugins = ["harness.plugin"]
