"""Operators that are known by name and do no work that Headroom could bound, each with the reason."""

from __future__ import annotations

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Describe, Family, key_of
from headroom.graph.work import Free, Unknown, Work

_TEXT = ("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer")
_CLASSIC = (
    "ArrayFeatureExtractor", "Binarizer", "CastMap", "CategoryMapper", "DictVectorizer", "FeatureVectorizer",
    "Imputer", "LabelEncoder", "LinearClassifier", "LinearRegressor", "Normalizer", "OneHotEncoder",
    "SVMClassifier", "SVMRegressor", "Scaler", "TreeEnsemble", "TreeEnsembleClassifier",
    "TreeEnsembleRegressor", "ZipMap",
)  # fmt: skip
_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_LISTS = (
    "ConcatFromSequence", "OptionalHasElement", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
    "SequenceErase", "SequenceInsert", "SequenceLength", "SplitToSequence",
)  # fmt: skip


def unknown(call: Call, reason: str) -> Unknown:
    return Unknown(key_of(call.domain, call.operator), reason)


def _because(reason: str) -> Describe:
    def describe(call: Call) -> Work:
        return unknown(call, reason)

    return describe


def _list_handling(call: Call) -> Work:
    """Lists of tensors hold references; only concatenating one copies."""
    if call.operator == "ConcatFromSequence":
        return unknown(call, "it joins a list whose length is only known at run time")
    return Free(call.operator.lower())


FAMILY = Family(
    describe={
        **dict.fromkeys(_TEXT, _because("it works on text and runs on the CPU")),
        **{
            f"ai.onnx.ml::{name}": _because("it is classical machine learning and runs on the CPU") for name in _CLASSIC
        },
        **dict.fromkeys(_CONTROL, _because("how often its body runs is only known at run time")),
        **dict.fromkeys(_LISTS, _list_handling),
        "ImageDecoder": _because("it decodes files and runs on the CPU"),
        "ai.onnx.preview.training::Gradient": _because("it stands for a backward pass that is not written out"),
    },
)
