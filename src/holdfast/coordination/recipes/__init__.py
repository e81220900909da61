"""What is built once on the coordinator's port, for every engine: election, locks, semaphores, members, shared values.

Three rules hold for all. Whoever holds something holds it until `deadline`, by its own clock, and has a token that is larger than
that of every earlier holder: a receiver that refuses smaller tokens is safe whatever the holder believes. A write
without an answer is read back, and recognised by a mark that only its writer knows. Cancelling leaves nothing behind
that outlives the session.
"""
