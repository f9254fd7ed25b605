# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Configurations of releases 1.x to 4.x, translated into the present layout.

1.x (legged_gym) nests the runner's own keys in a section ``runner``; up to 3.x one section ``policy`` describes both
networks; 4.x describes them apart, with the action noise among the options of the model.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Collection, Mapping
from typing import Any

from rsl_rl.utils import did_you_mean, listed, resolve_callable
from rsl_rl.utils.yaml_text import as_yaml

_POLICIES = ("ActorCritic", "ActorCriticRecurrent", "ActorCriticCNN", "StudentTeacher", "StudentTeacherRecurrent")
_NOISE_KEYS = ("init_noise_std", "noise_std_type", "state_dependent_std", "fixed_std")
_RNN_KEYS = ("rnn_type", "rnn_hidden_dim", "rnn_hidden_size", "rnn_num_layers")


def modernize_config(
    cfg: Mapping[str, Any], obs_group_names: Collection[str] | None = None, import_classes: bool = True
) -> tuple[dict[str, Any], list[str]]:
    """Return a runner's configuration in the present layout, and what had to be changed.

    A configuration that is in the present layout comes back with the same values and no changes.

    Args:
        cfg: Configuration in the layout of any release; it is not changed.
        obs_group_names: Names of the observation groups that the environment gives, from which a missing ``obs_groups``
            is filled as 2.x did it; None when they are not known.
        import_classes: Import models of the user's own, to see which options are theirs. Off for files of others.

    Returns:
        A new configuration, and one line of text per change.

    Raises:
        ValueError: It cannot be translated; says why and what to do.
    """
    new: dict[str, Any] = copy.deepcopy(dict(cfg))
    changes: list[str] = []
    _lift_runner_section(new, changes)
    had_policy = _split_policy(new, changes)
    roles = ("student", "teacher") if isinstance(new.get("student"), Mapping) else ("actor", "critic")
    for role in roles:
        if isinstance(new.get(role), Mapping):
            new[role] = _model_section(new[role], role, import_classes, changes)
    _mention_normalization(new, roles, changes)
    algorithm = new.get("algorithm")
    if isinstance(algorithm, Mapping) and _absent(algorithm.get("class_name")):
        name = "Distillation" if roles[0] == "student" else "PPO"
        new["algorithm"] = {**algorithm, "class_name": name}
        changes.append(f"algorithm.class_name was missing: {name}")
    if isinstance(new.get(roles[0]), Mapping):
        _observation_sets(new, roles, had_policy, obs_group_names, changes)
    return new, changes


def legacy_message(old: Mapping[str, Any], new: Mapping[str, Any], changes: list[str]) -> str:
    """Return the text that tells a user what was old, and what to write instead."""
    changed = {
        key: value
        for key, value in new.items()
        if not _absent(value) and (key not in old or repr(old[key]) != repr(value))
    }
    return (
        "The configuration is in the layout of an earlier release and was translated:\n"
        + "".join(f"  - {change}\n" for change in changes)
        + "What is new, in the present layout:\n\n"
        + "".join(f"  {line}\n" for line in as_yaml(changed).splitlines())
        + "\nThe command 'rsl-rl migrate OLD --output NEW' writes a configuration file anew."
    )


def _lift_runner_section(cfg: dict[str, Any], changes: list[str]) -> None:
    """1.x: the runner's keys lie in a section of their own, and so do the names of the classes."""
    runner = cfg.get("runner")
    if isinstance(runner, Mapping) and any(isinstance(cfg.get(key), Mapping) for key in ("policy", "algorithm")):
        del cfg["runner"]
        cfg |= {key: value for key, value in runner.items() if key not in cfg}
        changes.append("the keys of 'runner' are now at the top level")
    for old, section in (("policy_class_name", "policy"), ("algorithm_class_name", "algorithm")):
        name = cfg.get(old)
        if isinstance(name, str) and isinstance(cfg.get(section), Mapping):
            del cfg[old]
            cfg[section] = {"class_name": name, **cfg[section]}
            changes.append(f"{old} is now {section}.class_name")
    if "class_name" not in cfg and isinstance(cfg.get("runner_class_name"), str):
        cfg["class_name"] = cfg.pop("runner_class_name")
        changes.append("runner_class_name is now class_name")


def _split_policy(cfg: dict[str, Any], changes: list[str]) -> bool:
    """Up to 3.x: one section ``policy`` becomes two models. Return whether there was one."""
    policy = cfg.get("policy")
    if not isinstance(policy, Mapping) or any(isinstance(cfg.get(role), Mapping) for role in ("actor", "student")):
        return False
    policy = {str(key): value for key, value in policy.items() if not _absent(value)}
    name = _policy_name(policy)
    first, second = roles = ("student", "teacher") if name.startswith("StudentTeacher") else ("actor", "critic")
    normalize = bool(cfg.get("empirical_normalization")) and not _absent(cfg.get("empirical_normalization"))
    recurrent = name.endswith("Recurrent")
    sections: dict[str, dict[str, Any]] = {}
    for role in roles:
        section: dict[str, Any] = {"class_name": "MLPModel"}
        section["hidden_dims"] = policy.pop(f"{role}_hidden_dims", [256, 256, 256])
        section["activation"] = policy.get("activation", "elu")
        section["obs_normalization"] = policy.pop(f"{role}_obs_normalization", normalize)
        if recurrent and (role != "teacher" or policy.get("teacher_recurrent", False)):
            section |= {"class_name": "RNNModel", "rnn_type": policy.get("rnn_type", "lstm")}
            section["rnn_hidden_dim"] = policy.get("rnn_hidden_dim", policy.get("rnn_hidden_size", 256))
            section["rnn_num_layers"] = policy.get("rnn_num_layers", 1)
        if name.endswith("CNN") and (encoder := policy.pop(f"{role}_cnn_cfg", None)) is not None:
            section |= {"class_name": "CNNModel", "cnn_cfg": encoder}
        sections[role] = section
    if first == "student":
        policy.setdefault("init_noise_std", 0.1)  # StudentTeacher's own default
    sections[first]["distribution_cfg"] = _distribution(policy)

    # The sections take the place of the old one.
    entries = list(cfg.items())
    cfg.clear()
    for key, value in entries:
        if key == "policy":
            cfg.update(sections)
        elif key not in (first, second, "empirical_normalization"):  # Clients leave the sections empty, not out.
            cfg[key] = value
    changes.append(f"policy ({name}) is now two sections: {first} and {second}")
    if normalize:
        changes.append(f"empirical_normalization is now obs_normalization of {first} and {second}")
    known = {"class_name", "activation", "teacher_recurrent", *_NOISE_KEYS, *(_RNN_KEYS if recurrent else ())}
    if ignored := [key for key in policy if key not in known]:
        changes.append(f"left out, as earlier releases ignored it: {listed(f'policy.{key}' for key in ignored)}")
    return True


def _policy_name(policy: Mapping[str, Any]) -> str:
    given = policy.get("class_name")
    if given is None:
        base = "StudentTeacher" if any(key.startswith(("student_", "teacher_")) for key in policy) else "ActorCritic"
        return f"{base}Recurrent" if any(key in policy for key in _RNN_KEYS) else base
    text = given if isinstance(given, str) else getattr(given, "__name__", str(given))
    package, _, name = text.replace("ActorCriticPerceptual", "ActorCriticCNN").replace(":", ".").rpartition(".")
    if name in _POLICIES and package.partition(".")[0] in ("", "rsl_rl"):
        return name
    raise ValueError(
        f"The policy class '{text}' cannot be translated.{did_you_mean(name, _POLICIES)} Known: {listed(_POLICIES)}. "
        "Since release 4 actor and critic are two models: make a class of your own two subclasses of MLPModel, and "
        "name them in the sections 'actor' and 'critic' (class_name: package.module:Class). See docs/migration.md."
    )


def _model_section(section: Mapping[str, Any], role: str, import_classes: bool, changes: list[str]) -> dict[str, Any]:
    """4.x: the action noise is described among the model's own options."""
    new = dict(section)
    own = import_classes and new.get("class_name")
    keys = [key for key in ("stochastic", *_NOISE_KEYS) if key in new and not (own and _takes(own, key))]
    if old := {key: value for key in keys if not _absent(value := new.pop(key))}:
        # Only a model that acts had noise; 4.x wrote the keys of the others, too.
        acts = role in ("actor", "student")
        names = listed(f"{role}.{key}" for key in old)
        if not _absent(new.get("distribution_cfg")):
            changes.append(f"{names}: left out, {role}.distribution_cfg says it")
        elif old.get("stochastic", acts):
            new["distribution_cfg"] = _distribution(old)
            changes.append(f"{names}: now {role}.distribution_cfg")
        else:
            changes.append(f"{names}: left out, a model without distribution_cfg is deterministic")
    distribution = new.get("distribution_cfg")
    if isinstance(distribution, Mapping) and _absent(distribution.get("class_name")):
        new["distribution_cfg"] = {**distribution, "class_name": "GaussianDistribution"}
        changes.append(f"{role}.distribution_cfg.class_name was missing: GaussianDistribution")
    if _absent(new.get("class_name")):
        name = "RNNModel" if any(key in new for key in _RNN_KEYS) else "CNNModel" if "cnn_cfg" in new else "MLPModel"
        new = {"class_name": name} | {key: value for key, value in new.items() if key != "class_name"}
        changes.append(f"{role}.class_name was missing: {name}")
    return new


def _takes(class_name: Any, option: str) -> bool:
    """Return whether a class, for example a model of the user's own, has an option of that name itself."""
    try:
        bases = getattr(resolve_callable(class_name), "__mro__", ())
    except (TypeError, ImportError, AttributeError, ValueError):  # Reported when the model is built.
        return False
    return any("__init__" in vars(base) and option in inspect.signature(base.__init__).parameters for base in bases)


def _distribution(noise: Mapping[str, Any]) -> dict[str, Any]:
    depends_on_state = noise.get("state_dependent_std", False)
    section: dict[str, Any] = {
        "class_name": "HeteroscedasticGaussianDistribution" if depends_on_state else "GaussianDistribution",
        "init_std": noise.get("init_noise_std", 1.0),
        "std_type": noise.get("noise_std_type", "scalar"),
    }
    if noise.get("fixed_std", False) and not depends_on_state:
        section["learn_std"] = False
    return section


def _mention_normalization(cfg: dict[str, Any], roles: tuple[str, str], changes: list[str]) -> None:
    """Since 4.x every model says itself whether it normalizes; the key of the runner has no effect."""
    given = cfg.get("empirical_normalization")
    sections = {role: cfg[role] for role in roles if isinstance(cfg.get(role), Mapping)}
    without = [role for role, section in sections.items() if not section.get("obs_normalization")]
    if not _absent(given) and given and without:
        del cfg["empirical_normalization"]
        keys = listed(f"{role}.obs_normalization" for role in without)
        changes.append(f"empirical_normalization: left out, it has no effect since release 4; set {keys} to true")


def _observation_sets(
    cfg: dict[str, Any],
    roles: tuple[str, str],
    had_policy: bool,
    available: Collection[str] | None,
    changes: list[str],
) -> None:
    """Name the sets as now, and fill what 2.x and 3.x took for granted."""
    first, second = roles
    given = cfg.get("obs_groups")
    if _absent(given) or (had_policy and not given):
        if available is None:  # Filled when the environment is known.
            return
        sets = default_sets(roles, available)
        algorithm = cfg.get("algorithm")
        if isinstance(algorithm, Mapping) and algorithm.get("rnd_cfg") and "rnd_state" in available:
            sets["rnd_state"] = ["rnd_state"]
        cfg["obs_groups"] = sets
        if sets:  # Without any, the models' construction says what to write.
            changes.append(f"obs_groups was missing: {sets}")
        return
    if not isinstance(given, Mapping):
        return
    sets = dict(given)
    if first not in sets and "policy" in sets:
        sets = {first if key == "policy" else key: value for key, value in sets.items()}
        changes.append(f"obs_groups.policy is now obs_groups.{first}")
    if had_policy and second not in sets and first in sets and available is not None:
        sets[second] = [second] if second in available else copy.deepcopy(sets[first])
        changes.append(f"obs_groups.{second} was missing: {sets[second]}")
    if sets != given:
        cfg["obs_groups"] = sets


def default_sets(roles: tuple[str, str], available: Collection[str]) -> dict[str, list[str]]:
    """Return the observation sets of both models that 2.x took for granted; none where there is no group for the first.

    Args:
        roles: Names of the models, the one that acts first.
        available: Names of the groups that the environment gives.
    """
    first, second = roles
    main = next((group for group in (first, "policy") if group in available), None)
    if main is None:
        return {}
    return {first: [main], second: [next((group for group in (second, "privileged") if group in available), main)]}


def _absent(value: Any) -> bool:
    # Configuration dataclasses of clients fill options that do not apply with dataclasses.MISSING, or a copy of it.
    return value is None or isinstance(value, type(dataclasses.MISSING))
