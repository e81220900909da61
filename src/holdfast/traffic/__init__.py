"""Sending traffic with HAProxy: its configuration, its sockets, what it is told and what it says."""
