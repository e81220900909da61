"""Drivers of the coordinator: the embedded store of one host, and the simulator's in memory.

Each keeps the promises of ports/coordination.py; one contract suite holds them all to it. What is built on the port
(election, locks, semaphores, membership, shared values) stands in `recipes` and knows no driver.
"""
