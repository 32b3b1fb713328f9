"""The DeLTA paper's own evaluation, made again with the model: networks, figures, statements, pages."""
