"""cuDNN's graph API: a chain of layers described as one graph, and every plan that the library has for it.

:mod:`describe` turns a chain into a graph and knows what feeds it; one module per kind of first layer does the part
that differs (:mod:`convolution`, :mod:`product`, :mod:`normalization`, :mod:`attention`), :mod:`pointwise` whatever
follows. :mod:`plans` lists, builds and runs the plans. Nothing here imports cuDNN or PyTorch before it is used, so all
of it imports where neither is installed.
"""
