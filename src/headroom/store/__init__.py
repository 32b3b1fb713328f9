"""The performance database: what was measured, on which system, how, and what became of it."""
