"""Learning-management systems: where submissions come from, and the sheets that take grades."""
