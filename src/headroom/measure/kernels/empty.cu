// Nothing at all: what a launch costs by itself.
extern "C" __global__ void empty() {}
