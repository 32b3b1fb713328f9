"""CUDA sources of fission: splitting packed words in registers, and the products that do it on the way."""
