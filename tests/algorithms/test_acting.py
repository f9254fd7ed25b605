# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""Acting as on a GPU, with graphs that record and replay the operations of a processor, and in bfloat16."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rsl_rl.algorithms.acting import Acting, choose_acting
from rsl_rl.learning.capture import Trial
from rsl_rl.models import MLPModel
from rsl_rl.modules import EmpiricalNormalization
from rsl_rl.runners import DistillationRunner, OnPolicyRunner
from tests.algorithms.test_combinations import distillation_config
from tests.envs import PointEnv
from tests.learning.graphs import Clock, Graphs
from tests.learning.test_engines import CASES, assert_same, learned_by, runner_of, trained, without_compiler

__all__ = ["without_compiler"]  # a fixture


def captured(graphs: Graphs, clock: Callable[[], float] | None = None) -> Callable[[OnPolicyRunner], None]:
    def change(runner: OnPolicyRunner) -> None:
        choose_acting(runner.alg, "graph", graph=graphs)
        for model in runner.alg.asked_every_step():
            if clock is not None:
                model.head_output.capture(graphs, Trial("step of the policy", clock))  # type: ignore[operator, union-attr]

    return change


def nothing(runner: OnPolicyRunner) -> None:
    pass


@pytest.mark.parametrize("name", [*CASES])
def test_replayed_policies_act_the_same(name: str) -> None:
    graphs, runners = Graphs(), [runner_of(name), runner_of(name)]
    captured(graphs)(runners[0])
    for runner in runners:
        torch.manual_seed(0)
        runner.learn(3)
    assert_same(*map(learned_by, runners))
    # 3 x 8 steps: 2 eager, 1 captured and replayed for its proof, the others replayed. A recurrent critic is asked at
    # every step too, again for its final observations, and for the last value of each rollout; the first step of all
    # has no hidden state yet.
    models = {"gru and mlp": ["gru"], "gru and lstm": ["gru", "critic"], "equivariant gru and lstm": ["gru", "critic"]}
    calls = {"gru": 23, "critic": 50}
    expected = sum(calls[model] - 2 for model in models[name]) if name in models else 22
    assert graphs.replays == expected
    assert graphs.captures == len(models.get(name, ["mlp"]))


def rounded(runner: OnPolicyRunner) -> None:
    runner.alg.actor.obs_normalizer.eps = 10.0


def freshly_made(runner: OnPolicyRunner) -> None:
    old = runner.alg.actor.mlp[0]
    runner.alg.actor.mlp[0] = torch.nn.Linear(old.in_features, old.out_features)
    with torch.no_grad():
        for parameter in runner.alg.actor.mlp[0].parameters():
            parameter.fill_(0.1)


def evaluated(runner: OnPolicyRunner) -> None:
    """Use the policy with as many environments as it trains in, which must see no graph of the training."""
    runner.get_inference_policy()(runner.env.get_observations())


def loaded(runner: OnPolicyRunner) -> None:
    runner.alg.load(runner.alg.save())


@pytest.mark.parametrize(
    ("change", "captures"),
    [(rounded, 2), (freshly_made, 2), (evaluated, 1), (loaded, 1)],
    ids=lambda each: str(each)[:20],
)
def test_a_graph_of_what_has_changed_is_captured_anew(change: Any, captures: int) -> None:
    graphs = Graphs()
    assert_same(
        trained("mlp", captured(graphs), nothing, change, steps=0), trained("mlp", nothing, nothing, change, steps=0)
    )
    assert graphs.captures == captures


def test_a_policy_of_another_shape_is_captured_for_itself() -> None:
    """The graph of a program's own step outside inference mode is another, too."""
    graphs, runner = Graphs(), runner_of("mlp")
    captured(graphs)(runner)
    runner.learn(1)
    with torch.no_grad():
        obs = runner.env.get_observations()
        outputs = [runner.alg.actor.head_output(obs).clone() for _ in range(5)]
    assert all(torch.equal(output, outputs[0]) for output in outputs)
    assert graphs.captures == 2


def test_only_a_step_of_all_environments_in_training_is_one_of_acting() -> None:
    graphs, runner = Graphs(), runner_of("mlp", acting_dtype="bfloat16")
    choose_acting(runner.alg, "graph", torch.bfloat16, graphs)
    actor, obs = runner.alg.actor, runner.env.get_observations()
    with torch.no_grad():
        for _ in range(5):
            some = obs[:3]
            torch.testing.assert_close(actor.head_output(some), type(actor).head_output(actor, some), rtol=0, atol=0)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert actor.head_output(obs).dtype == torch.bfloat16
    assert graphs.captures == 0


def test_algorithms_may_have_devices_storages_and_methods_of_their_own() -> None:
    runner = runner_of("mlp")
    alg, actor = runner.alg, runner.alg.actor
    alg.device = torch.device("cpu")  # type: ignore[assignment]
    choose_acting(alg, "auto")
    alg.choose_engine("auto", None)
    storage, alg.storage = alg.storage, []  # type: ignore[assignment]
    choose_acting(alg, "auto", torch.bfloat16)
    assert "head_output" not in vars(actor)
    alg.storage = storage
    actor.head_output = own = lambda *args: torch.zeros(4, 1)  # type: ignore[method-assign]
    choose_acting(alg, "auto", torch.bfloat16)
    assert actor.head_output is own


def test_a_second_choice_replaces_the_first() -> None:
    first, second, runner = Graphs(), Graphs(), runner_of("gru and mlp")
    captured(first)(runner)
    captured(second)(runner)
    runner.learn(1)
    assert (first.captures, second.captures) == (0, 1)


def spoil(output: torch.Tensor) -> None:
    output += 1.0


def test_what_gives_other_numbers_is_not_replayed() -> None:
    with pytest.warns(UserWarning, match="step of the policy cannot be captured.*stays eager.*other numbers") as said:
        found = trained("mlp", captured(Graphs(spoil)), nothing, steps=0)
    assert sum("stays eager" in str(warning.message) for warning in said) == 1
    assert_same(found, trained("mlp", nothing, nothing, steps=0))


def test_what_waits_for_the_device_is_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = EmpiricalNormalization.forward
    monkeypatch.setattr(EmpiricalNormalization, "forward", lambda self, x: forward(self, x) * float(x.sum() < 1e9))
    runner = runner_of("mlp")
    captured(Graphs())(runner)
    obs = runner.env.get_observations()
    # Not in inference mode, where the stand-in does not see that a number is read.
    with torch.no_grad(), pytest.warns(UserWarning, match="step of the policy cannot be captured.*not permitted"):
        outputs = [runner.alg.actor.head_output(obs) for _ in range(5)]
    assert all(torch.equal(output, outputs[0]) for output in outputs)


class Own(torch.nn.ELU):
    pass


def patched(actor: Any) -> None:
    latent = actor.get_latent
    actor.get_latent = lambda *args: 0.5 * latent(*args)


@pytest.mark.parametrize(
    "change",
    [
        lambda actor: actor.mlp[1].register_forward_hook(lambda module, inputs, output: 0.5 * output),
        lambda actor: actor.mlp[1].register_forward_pre_hook(lambda module, inputs: None),
        lambda actor: setattr(actor.mlp[1], "forward", torch.zeros_like),
        lambda actor: actor.mlp.insert(1, Own()),
        patched,
    ],
    ids=["hook", "hook before", "forward", "layer", "method"],
)
def test_what_a_program_puts_into_a_model_is_run_at_every_step(change: Callable[[Any], Any]) -> None:
    """Also where it comes after a graph was captured."""
    graphs, runner = Graphs(), runner_of("mlp")
    captured(graphs)(runner)
    runner.learn(1)
    assert graphs.captures == 1
    change(runner.alg.actor)
    replays, obs = graphs.replays, runner.env.get_observations()
    with torch.inference_mode():
        runner.alg.storage.clear()
        for _ in range(5):
            expected = type(runner.alg.actor).head_output(runner.alg.actor, obs)
            torch.testing.assert_close(runner.alg.actor.head_output(obs), expected)
    assert graphs.replays == replays


def test_tensors_with_gradients_are_taken() -> None:
    graphs, runner = Graphs(), runner_of("gru and mlp")
    captured(graphs)(runner)
    actor, obs = runner.alg.actor, runner.env.get_observations()
    obs["policy"].requires_grad_()
    actor(obs)  # leaves a hidden state with a gradient
    with torch.no_grad():
        for _ in range(5):
            actor(obs)
    assert graphs.captures == 1
    assert not actor.get_hidden_state().requires_grad


@pytest.mark.parametrize(("seconds_of_replay", "is_kept"), [(0.5, True), (2.0, False)])
def test_the_faster_way_is_kept_and_said(
    seconds_of_replay: float, is_kept: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs = Graphs()
    clock = Clock(graphs, seconds_of_replay)
    found = trained("mlp", captured(graphs, clock), nothing, nothing, steps=0)
    assert_same(found, trained("mlp", nothing, nothing, nothing, steps=0))
    # 24 steps: 2 eager, 1 captured and replayed once, 8 of each kind in turns, and 5 in the way that was kept.
    assert graphs.replays == 1 + 8 + (5 if is_kept else 0)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("The step of the policy")]
    way = "is replayed as a CUDA graph" if is_kept else "stays eager"
    assert said == [f"The step of the policy {way}: {1e3 * seconds_of_replay:.2f} ms as a graph, 1000.00 ms without."]


def test_models_of_a_program_and_those_that_mix_samples_act_as_they_are() -> None:
    class OwnModel(type(runner_of("mlp").alg.actor)):  # type: ignore[misc]
        pass

    graphs = Graphs()
    for change in (
        lambda actor: setattr(actor, "__class__", OwnModel),
        lambda actor: actor.mlp.insert(1, torch.nn.BatchNorm1d(actor.mlp[0].out_features)),
    ):
        runner = runner_of("mlp")
        change(runner.alg.actor)
        captured(graphs)(runner)
        runner.learn(1)
    assert graphs.captures == 0


@pytest.mark.parametrize("name", ["mlp", "gru and lstm"])
def test_copies_act_as_they_are(name: str, tmp_path: Path) -> None:
    graphs, runner = Graphs(), runner_of(name)
    captured(graphs)(runner)
    runner.learn(1)
    actor, obs = runner.alg.actor, runner.env.get_observations()
    replays = graphs.replays
    for copied in (copy.deepcopy(actor), pickle.loads(pickle.dumps(actor))):
        assert copied.head_output.__self__ is copied
        copied.eval()
        actor.eval()
        states = copy.deepcopy(actor.get_hidden_state())
        with torch.inference_mode():
            torch.testing.assert_close(copied(obs), actor(obs))
        actor.reset(None, states)
    runner.export_policy_to_onnx(str(tmp_path))
    runner.export_policy_to_jit(str(tmp_path))
    assert graphs.replays == replays


# -- bfloat16 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CASES])
def test_acting_in_bfloat16_is_as_coarse_as_that_and_learning_is_not(name: str) -> None:
    runner = runner_of(name, acting_dtype="bfloat16")
    alg, obs = runner.alg, runner.env.get_observations()
    runner.learn(1)
    state = alg.actor.get_hidden_state()
    with torch.no_grad():
        output = alg.actor.head_output(obs)
        alg.actor.reset(None, state)
        exact = type(alg.actor).head_output(alg.actor, obs)
    assert output.dtype == exact.dtype == torch.float32
    coarseness = float((output - exact).abs().max() / exact.abs().max())
    # Processors have no recurrent layers in bfloat16; those of the head are.
    assert 0 < coarseness < 2e-2
    alg.actor.reset()
    with torch.no_grad():
        exact = type(alg.actor).head_output(alg.actor, obs)
    alg.actor.reset()
    torch.testing.assert_close(alg.actor.head_output(obs), exact, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["mlp", "gru and lstm"])
def test_values_are_not_rounded(name: str) -> None:
    runner = runner_of(name, acting_dtype="bfloat16")
    with torch.no_grad():
        runner.alg.critic.mlp[-1].bias.fill_(100.3)
    runner.learn(1)
    assert "head_output" not in vars(runner.alg.critic)
    fractions = runner.alg.storage.values * 8  # bfloat16 has halves there
    assert (fractions != fractions.round()).all()


@pytest.mark.usefixtures("without_compiler")
def test_a_compiled_loss_is_that_of_the_model_itself() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The mini-batch cannot be compiled")
        found = trained("mlp", steps=2, torch_compile_mode="default", acting_dtype="bfloat16")
    assert_same(found, trained("mlp", steps=2, fast_path="off", acting_dtype="bfloat16"))


def test_what_a_program_remembers_in_a_model_is_left_to_it() -> None:
    class Remembering(MLPModel):
        """Adds up what it has seen since it was last reset."""

        total = 0.0

        def get_latent(self, *args: Any) -> torch.Tensor:
            latent = super().get_latent(*args)
            if not torch.is_grad_enabled():
                self.total = self.total + latent
            return latent

        def reset(self, dones: Any = None, hidden_state: Any = None) -> None:
            if dones is None:
                self.total = 0.0

    runner = runner_of("mlp", acting_dtype="bfloat16")
    runner.alg.actor.__class__ = Remembering
    obs = runner.env.get_observations()
    with torch.no_grad():
        for _ in range(3):
            runner.alg.act(obs)
            runner.alg.storage.clear()
    torch.testing.assert_close(runner.alg.actor.total, 3 * runner.alg.actor.obs_normalizer(obs["policy"]))


def test_a_distillation_acts_in_bfloat16() -> None:
    config = distillation_config("gru") | {"acting_dtype": "bfloat16"}
    runner = DistillationRunner(PointEnv(), config)
    runner.alg.teacher_loaded = True
    runner.learn(2)
    assert runner.alg.storage.actions.isfinite().all()
    assert type(runner.alg.student.head_output) is Acting
