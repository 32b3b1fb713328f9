"""What a person or a program sees: terminal, JSON, CSV, trace and one self-contained HTML file."""
