"""What the lab's own tests share."""

from tests.lab.fixtures import etcd3, etcd5, sites, zookeeper3, zookeeper5

__all__ = ["etcd3", "etcd5", "sites", "zookeeper3", "zookeeper5"]
