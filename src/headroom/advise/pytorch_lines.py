"""Lines of PyTorch that several findings give, each written once: equal lines are ranked as one remedy."""

CHANNELS_LAST = "model = model.to(memory_format=torch.channels_last)\nx = x.to(memory_format=torch.channels_last)"
CONTIGUOUS = "model = model.to(memory_format=torch.contiguous_format)\nx = x.contiguous()"
SEARCH = "torch.backends.cudnn.benchmark = True\ntorch.backends.cudnn.benchmark_limit = 0"
REDUCE_OVERHEAD = 'model = torch.compile(model, mode="reduce-overhead")'
MAX_AUTOTUNE = 'model = torch.compile(model, mode="max-autotune")'
