"""A Ray cluster of two nodes with one CPU each, on this machine: prints its address, and loses a node for each line
that it reads; the end of its input ends it."""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

EACH = {"num_cpus": 1, "object_store_memory": 80_000_000}


def main() -> None:
    """Serve."""
    head = {**EACH, "node_ip_address": "127.0.0.2", "include_dashboard": False}  # Ray takes 127.0.0.1 for no address
    cluster = Cluster(initialize_head=True, head_node_args=head)
    others = [cluster.add_node(**EACH, node_ip_address="127.0.0.3")]
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(others.pop(), allow_graceful=False)
        print("lost", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
