"""The demonstration: a real service behind a real HAProxy, real faults, and the incident as holdfast told it."""
