#!/usr/bin/python3
"""Behaves like qlab-node at its edges (config, ready line, signals) and serves nothing.

Only for the tests of harness/cluster.py. The key `fake.behaviour` chooses: serve, fail, hang.
"""

import signal
import sys


def main() -> int:
    config = {}
    with open(sys.argv[sys.argv.index("--config") + 1], encoding="utf-8") as f:
        for line in f:
            key, _, value = line.strip().partition("=")
            config[key] = value
    behaviour = config.get("fake.behaviour", "serve")
    if behaviour == "fail":
        print("fake.behaviour is fail: this node cannot start", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if behaviour == "serve":
        print(f"ready node.id={config['node.id']} kafka={config['listener']} "
              f"peer={config['peer.listener']}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
