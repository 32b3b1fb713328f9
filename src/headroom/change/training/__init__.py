"""Training: the built-in recipe, a user's own function, evaluation. Importing it loads PyTorch."""

from headroom.change.training.augment import ImageAugmentation
from headroom.change.training.data import Augmentation, Batches, LoaderBatches, TensorBatches
from headroom.change.training.evaluate import accuracy_pct
from headroom.change.training.loop import Loss, Progress, train
from headroom.change.training.own import BuiltIn, Outcome, Trainer, own_data, own_trainer, trained_by
from headroom.change.training.recipe import Recipe

__all__ = [
    "Augmentation",
    "Batches",
    "BuiltIn",
    "ImageAugmentation",
    "LoaderBatches",
    "Loss",
    "Outcome",
    "Progress",
    "Recipe",
    "TensorBatches",
    "Trainer",
    "accuracy_pct",
    "own_data",
    "own_trainer",
    "train",
    "trained_by",
]
