"""The guard: a second program per host that ends a primary when its deadline passes, whatever the agent does.

The agent extends a deadline for each component that serves as primary. An agent that is frozen, killed or merely late
extends nothing, and that is the whole trick: the guard needs no news to act. So it must go on when little else does. It
imports the standard library only, and of holdfast nothing but this room; it has no event loop, no thread, no log library;
its memory is locked, its priority is high, and while it watches it waits for no disk.

See docs/decisions/0012-the-guard.md.
"""
