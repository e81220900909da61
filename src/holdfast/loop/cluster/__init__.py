"""The cluster loop: what belongs to several hosts. Pure, as the loop beside it; one of it runs on each host."""
