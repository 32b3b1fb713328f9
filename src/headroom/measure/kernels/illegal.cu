// A kernel that loses its context on purpose: what the worker must survive.
extern "C" __global__ void write_to(unsigned int* address) { *address = 1; }
