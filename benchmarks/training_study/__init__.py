"""Accuracy of pruned, fitted and slimmed networks: data, jobs, and what is kept of them (``train_networks.py``)."""
