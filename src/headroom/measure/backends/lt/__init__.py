"""cuBLASLt: matrix products with their epilogues, every algorithm that the library proposes.

The library thinks in columns: a matrix of r rows and c columns that lies column by column is the same memory as one of
c rows and r columns that lies row by row. A model's row-major product ``D (m x n) = A (m x k) B (k x n)`` is therefore
given as ``D^T = B^T A^T``: the library's first factor is the model's right one, its rows are the model's columns n, and
its bias, one value per row, is the model's bias per column. A factor that the model stores transposed is marked so and
never copied.

:mod:`problem` reads a chain (pure), :mod:`call` owns the library's descriptors, :mod:`names` names an algorithm so
that it can be run again, :mod:`library` finds the library.
"""
