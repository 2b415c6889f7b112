"""`./qlab bench`: one part alone, beside the physical limit."""
