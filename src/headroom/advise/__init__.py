"""Bounds and findings: from predictions to what a user should do."""
