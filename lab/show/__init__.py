"""Floor 8: tables, figures and pages from run folders. Reads what runs left behind; never trains, imports no torch."""
