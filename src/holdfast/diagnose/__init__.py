"""Step 2, diagnose: from findings to named causes with evidence. Pure."""
