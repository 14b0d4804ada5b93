"""Floor 7: wires all floors below for one job."""
