"""Benanza's published database: tables of what cuDNN and cuBLAS took on its GPUs, as rows of ours.

Benanza (Li, Dakkak, Xiong, Hwu: "Benanza: Automatic uBenchmark Generation to Compute 'Lower-bound' Latency and Inform
Optimizations of Deep Learning Models on GPUs", IPDPS 2020) times the library call behind every layer of 30 models.
"""
