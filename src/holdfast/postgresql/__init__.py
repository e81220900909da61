"""PostgreSQL: the mechanics of one instance, from 13 to 17.

Nothing here decides who is primary: the lease does. These modules know how it is done, and what a server
says of itself; see docs/decisions/0020-postgresql.md for how they are wired.
"""
