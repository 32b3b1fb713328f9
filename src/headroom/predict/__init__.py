"""The theory: traffic, time and bottleneck of a layer without running it, each with an error bar."""
