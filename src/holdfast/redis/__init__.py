"""Redis: the mechanics of one server, from 6.2 on, and the answers of a Sentinel.

Nothing here decides who is primary: the lease does, or on one host its agent. These modules know how it is done, and what a
server says of itself; see docs/redis.md.
"""
