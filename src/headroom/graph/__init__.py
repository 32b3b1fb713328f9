"""What a model is: a :class:`~headroom.graph.graph.Graph` of layers, and the readers that make one."""
