"""Step 4, recover: what failed is started again, in order and within its budget. Pure."""
