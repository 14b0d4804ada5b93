"""The skeleton of everything in ``params/`` as frozen pydantic models: unknown keys and wrong types are errors."""

from lib.recipes.specs.base import Component, ObjectiveSpec, Spec
from lib.recipes.specs.corpus import CorpusSpec, FeatureSet, FieldRules, ImagesSpec, WordVectorSpec
from lib.recipes.specs.questions import Ablation, Claim, Claims, EnsembleSpec, Member, OtherClaim, ReportSpec
from lib.recipes.specs.recipe import (
    STAGE_NOTEBOOKS,
    Features,
    FramesSpec,
    ModelSpec,
    Origin,
    Published,
    Quirk,
    Recipe,
    SubmissionSpec,
    TextSpec,
)
from lib.recipes.specs.scale import SCALE_MAY_SET, Scale
from lib.recipes.specs.stage import (
    DataSpec,
    EmaSpec,
    EvaluationSpec,
    LearningRate,
    OptimizerSpec,
    RewindSpec,
    SplitSpec,
    StageSpec,
    SwaSpec,
)

__all__ = [
    "Ablation",
    "Claim",
    "Claims",
    "Component",
    "CorpusSpec",
    "DataSpec",
    "EmaSpec",
    "EnsembleSpec",
    "EvaluationSpec",
    "FeatureSet",
    "Features",
    "FieldRules",
    "FramesSpec",
    "ImagesSpec",
    "LearningRate",
    "Member",
    "ModelSpec",
    "ObjectiveSpec",
    "OptimizerSpec",
    "Origin",
    "OtherClaim",
    "Published",
    "Quirk",
    "Recipe",
    "ReportSpec",
    "RewindSpec",
    "SCALE_MAY_SET",
    "STAGE_NOTEBOOKS",
    "Scale",
    "Spec",
    "SplitSpec",
    "StageSpec",
    "SubmissionSpec",
    "SwaSpec",
    "TextSpec",
    "WordVectorSpec",
]
