"""Fixtures of the pipeline's tests."""

import os

import pytest

from tests.pipeline.installation import Installation


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Installation:
    """An empty installation for the tests of a module; its path has a space and an umlaut."""
    return Installation(tmp_path_factory.mktemp("möre data"))


@pytest.fixture(scope="module")
def ray_cluster():
    """A Ray cluster of two nodes of one core each, on this machine alone."""
    ray = pytest.importorskip("ray", reason="Ray is absent: install the extra `cluster`.")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    options = {
        "num_cpus": 1,
        "include_dashboard": False,
        "object_store_memory": 80 * 2**20,
    }
    cluster = Cluster(initialize_head=True, head_node_args=options)
    cluster.second = cluster.add_node(**options)
    ray.init(cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
