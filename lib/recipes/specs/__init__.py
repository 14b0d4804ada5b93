"""The skeleton of everything in ``params/`` as frozen pydantic models: unknown keys and wrong types are errors.

Components (``{use: Class, ...}``) keep their arguments as they are here; their own signatures check them when they are
bound (``lib.recipes.bind``), so no argument is declared twice. ``folder`` is where the files of a kind lie in ``params/``.
"""

from lib.recipes.specs.corpus import SCALE_MAY_SET, CorpusSpec, DeviceSpec, FeatureSet, ImagesSpec, Scale
from lib.recipes.specs.questions import Ablation, Claim, EnsembleSpec, Member
from lib.recipes.specs.recipe import STAGE_NOTEBOOKS, Features, Published, Quirk, Recipe, SubmissionSpec
from lib.recipes.specs.stage import Component, DataSpec, OptimizerSpec, Spec, SplitSpec, StageSpec
