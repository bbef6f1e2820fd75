"""What measures, for studies alone."""
