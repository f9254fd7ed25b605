# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""The sections of a configuration as frozen dataclasses, derived from the constructors of the classes they configure.

An option is written down once, in a constructor: its name, type and default in the signature, its meaning in the
docstring under ``Args:``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from rsl_rl.utils import resolve_callable
from rsl_rl.utils.ranges import Count, Range, WholeNumber

# The classes of the library whose sections are dataclasses: those of PPO are PPOConfig.
CONFIGURABLE = (
    *("PPO", "Distillation", "MLPModel", "RNNModel", "CNNModel"),
    *("GaussianDistribution", "HeteroscedasticGaussianDistribution", "BetaDistribution"),
)
# Constructor arguments that the library fills in itself.
PROVIDED = frozenset(
    (
        *("self", "obs", "obs_groups", "obs_set", "output_dim", "num_states", "env", "device", "multi_gpu_cfg"),
        *("storage", "actor", "critic", "student", "teacher", "input_dim", "input_channels"),
    )
)


@dataclass(frozen=True)
class Section:
    """A section that names the class it configures."""

    class_name: str


def options_of(configured: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the constructor arguments that a section may set, and whether any other is accepted as well.

    ``**kwargs`` of a user's subclass are taken to reach the constructor of the next class.
    """
    options: dict[str, inspect.Parameter] = {}
    constructors = [configured] if not inspect.isclass(configured) else configured.__mro__
    for constructor in constructors:
        is_ours = constructor.__module__.startswith("rsl_rl.")
        if inspect.isclass(constructor):
            if "__init__" not in vars(constructor) or constructor is object:
                continue
            constructor = constructor.__init__
        parameters = inspect.signature(constructor).parameters
        named = {p.name: p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        options |= {name: p for name, p in named.items() if name not in PROVIDED and name not in options}
        accepts_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if is_ours or not accepts_any:
            return options, accepts_any
        # What the constructor itself takes out of them by name: kwargs.pop("temperature").
        texts = getattr(getattr(inspect.unwrap(constructor), "__code__", None), "co_consts", ())
        names = [text for text in texts if isinstance(text, str) and text.isidentifier() and text not in PROVIDED]
        options |= {name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names} | options
    return options, True


def types_of(configured: Any) -> dict[str, Any]:
    """Return the types that the library declares for a class's options; annotations of a user's are not relied on."""
    for base in getattr(configured, "__mro__", ()):
        if base.__module__.startswith("rsl_rl.") and "__init__" in vars(base):
            return typing.get_type_hints(base.__init__, include_extras=True)
    return {}


def schema_of(configured: Any) -> type[Any]:
    """Return the dataclass of the section of one of the :data:`CONFIGURABLE` classes, given itself or its name."""
    return _derived(resolve_callable(configured))


@functools.cache
def _derived(configured: Any) -> type[Any]:
    base, types = configured.__base__, types_of(configured)
    options, _ = options_of(configured)
    fields = [(name, _type_in_section(types[name]), option.default) for name, option in options.items()]
    # The command line and the reference find the meanings of the options below the summary of the class.
    summary = (inspect.getdoc(configured) or "").partition("\n")[0]
    arguments = (inspect.getdoc(configured.__init__) or "").partition("\n")[2]
    return dataclasses.make_dataclass(
        f"{configured.__name__}Config",
        [("class_name", str, configured.__name__), *fields],
        bases=(schema_of(base) if base.__name__ in CONFIGURABLE else Section,),
        namespace={"__doc__": f"{summary}\n{arguments}", "__module__": __name__},
        frozen=True,
    )


def _type_in_section(annotation: Any) -> Any:
    """Return the type of an option in a section, which is never changed and may hold the section of another class."""
    if typing.get_origin(annotation) is Sequence:
        return tuple[typing.get_args(annotation)[0], ...]  # type: ignore[misc]
    mappings = [option for option in typing.get_args(annotation) if typing.get_origin(option) is dict]
    if not mappings:
        return annotation
    return annotation | Section if mappings == [dict[str, Any]] else Any  # A mapping of objects is in no file.


def __getattr__(name: str) -> Any:
    """Give ``PPOConfig``, ``MLPModelConfig`` and the like; their classes are not imported before."""
    configured = name.removesuffix("Config")
    if configured != name and configured in CONFIGURABLE:
        return schema_of(configured)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@dataclass(frozen=True)
class RunnerConfig:
    """A training run: rollout, logging, algorithm and models."""

    num_steps_per_env: Count
    """Steps per environment and iteration."""
    save_interval: Annotated[int | float, Range(1)]
    """A checkpoint is written every so many iterations, and at the end."""
    obs_groups: dict[str, list[str]] = field(default_factory=dict)
    """For every observation set (actor, critic ...) the observation groups it consists of."""
    class_name: str = "OnPolicyRunner"
    run_name: str | int | float | None = ""
    """Name of the run in logs."""
    check_for_nan: bool = True
    """Look for observations, rewards or dones that are not finite; ``nonfinite`` says what then."""
    nonfinite: Literal["raise", "recover"] = "raise"
    """raise: save a checkpoint and the offending step, and stop. recover: cut the environments concerned, leave these
    steps out of the update, and go on."""
    keep_checkpoints: WholeNumber | None = None
    """How many of the newest checkpoints are kept, beside the best one; None for all."""
    torch_compile_mode: Literal["default", "max-autotune-no-cudagraphs"] | None = None
    """Compile the update with this mode of torch.compile."""
    fast_path: Literal["auto", "off", "graph"] = "auto"
    """auto: on the CPU, large mini-batches are taken in pieces that fit into the cache; on a GPU, steps of the policy
    and mini-batch steps of feed-forward models are replayed as CUDA graphs if these give the same and are faster. off:
    neither. graph: auto, but not timed (not run on a GPU yet)."""
    matmul_precision: Literal["highest", "high", "medium"] | None = None
    """Precision of products of float32 matrices in the whole process, see torch.set_float32_matmul_precision: with high
    a GPU rounds their factors to TF32. None leaves torch's own, the highest."""
    acting_dtype: Literal["bfloat16"] | None = None
    """Type in which layers compute while the policy acts in training; None for that of their parameters. Its actions
    are coarser then; what is learned from them is computed as always."""
    storage_dtype: Literal["float16", "bfloat16"] | None = None
    """Type in which the rollout keeps images of floating-point numbers; None for their own. Others keep theirs."""
    anneal: dict[str, float] = field(default_factory=dict)
    """Numbers of the algorithm, such as entropy_coef, and what they are in the last iteration; up to then they change
    linearly from what the algorithm begins with."""
    logger: Any = "tensorboard"
    """A logger's name, its class, a dict with class_name and constructor arguments, a list of these, or None."""
    algorithm: Section | dict[str, Any] = field(default_factory=lambda: schema_of("PPO")())
    """How the rollout makes the models better."""
    actor: Section | dict[str, Any] | None = field(
        default_factory=lambda: schema_of("MLPModel")(distribution_cfg=schema_of("GaussianDistribution")())
    )
    """The policy; it needs a distribution to explore with."""
    critic: Section | dict[str, Any] | None = field(default_factory=lambda: schema_of("MLPModel")())
    """The model of the value, used in training only."""
    student: Section | dict[str, Any] | None = None
    """The model that learns, for distillation."""
    teacher: Section | dict[str, Any] | None = None
    """The model that is learned from, for distillation."""
    teacher_checkpoint: str | None = None
    """Checkpoint that fills the teacher, for distillation."""
    others: dict[str, Any] = field(default_factory=dict)
    """Keys of launchers and environments that the runner keeps but does not use."""

    @classmethod
    def from_dict(cls, section: Mapping[str, Any]) -> RunnerConfig:
        """Read the layout that the runners take; sections of classes that are not ours stay as they are."""
        known = {field.name for field in dataclasses.fields(cls)} - {"others"}
        values: dict[str, Any] = {key: _typed(value) for key, value in section.items() if key in known}
        if "student" in values:
            values = {"actor": None, "critic": None, **values}
        return cls(**values, others={key: value for key, value in section.items() if key not in known})

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration in the layout that the runners take."""
        section = dataclasses.asdict(self)
        section |= section.pop("others")
        optional = ("actor", "critic", "student", "teacher", "teacher_checkpoint")
        return {key: value for key, value in section.items() if value is not None or key not in optional}


def _typed(value: Any) -> Any:
    """Return a section as the dataclass of the class it names, other values as they are."""
    if not isinstance(value, Mapping):
        return value
    values = {key: _typed(item) for key, item in value.items()}
    name = str(value.get("class_name"))
    # A name of the user's own is not resolved: that would import code of theirs.
    if name not in CONFIGURABLE or not set(values) <= {field.name for field in dataclasses.fields(schema_of(name))}:
        return values
    return schema_of(name)(**{key: tuple(item) if isinstance(item, list) else item for key, item in values.items()})
