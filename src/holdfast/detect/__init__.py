"""Step 1, detect: from what was observed to statuses, health and findings. Pure."""
