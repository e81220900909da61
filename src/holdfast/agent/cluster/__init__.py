"""The shell of the cluster loop: session, watch, election, orders, beats, guard. See docs/decisions/0011-several-hosts.md."""
