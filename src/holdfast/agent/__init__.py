"""The shell around the core: it turns the world into events, and decisions into actions.

One asyncio loop, one state, one queue of events. Nothing here decides anything: `turning` asks the core,
`carrying_out` does what the core wants, `surveying` and `asking` look at the world, `control` lets
the operator in. The agent is not needed for what it manages to go on running.
"""
