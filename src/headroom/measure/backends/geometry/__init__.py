"""What libraries below PyTorch have to be told of a chain: views, strides, and constants folded into weights."""
