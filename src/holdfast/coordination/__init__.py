"""Drivers of the coordinator: the embedded store of one host, ZooKeeper, etcd, and one in memory for the simulator.

Each keeps the promises of ports/coordination.py; one contract suite holds them all to it. `address.connect(url)` gives the
one that a URL names. What is built on the port (election, locks, semaphores, membership, shared values) stands in
`recipes` and knows no driver.
"""
