"""The staircase: latency against width of a layer, predicted or measured, its steps, and the widths worth having."""
