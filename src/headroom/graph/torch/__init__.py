"""The PyTorch reader, through ``torch.export``. Imported only where a module is read."""
