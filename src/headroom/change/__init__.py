"""What alters a model: other widths, fewer synapse vectors, packed operands."""
