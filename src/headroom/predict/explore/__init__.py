"""What a different GPU would do: a model on thousands of designs that differ from one GPU in a few fields."""
