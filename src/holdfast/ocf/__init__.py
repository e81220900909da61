"""OCF resource agents: components that somebody else's program starts, stops and looks after.

An agent is a program with one argument, the action, and an exit code that means something. `adapter.OcfAgents` runs them
unmodified, behind the same port as processes. Agents that can be promoted call programs of Pacemaker for their scores and
for the state of their peers: those that stand in for them are in `stand_ins`, and what they answer in `attributes`.
"""
