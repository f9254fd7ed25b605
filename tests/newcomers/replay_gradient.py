# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

import torch

from rsl_rl.algorithms.algorithm import Algorithm
from rsl_rl.models import MLPModel


class Replay:
    """The newest transitions, of all environments."""

    def __init__(self, capacity):
        self.capacity, self.num_added, self.rings = capacity, 0, {}

    def add(self, rows):
        for name, value in rows.items():
            ring = self.rings.setdefault(name, torch.zeros(self.capacity, *value.shape[1:], device=value.device))
            ring[(torch.arange(len(value), device=value.device) + self.num_added) % self.capacity] = value
        self.num_added += len(value)

    def sample(self, size):
        index = torch.randint(min(self.num_added, self.capacity), (size,))
        return {name: ring[index] for name, ring in self.rings.items()}

    def state_dict(self):
        return {"num_added": self.num_added, "rings": dict(self.rings)}

    def load_state_dict(self, state):
        self.num_added, self.rings = state["num_added"], state["rings"]


class ReplayGradient(Algorithm):
    """Deterministic policy gradient (Silver et al., 2014) from a replay buffer."""

    def __init__(self, actor, critic, gamma=0.9, noise=0.5, learning_rate=3e-3, updates=20, batch_size=128, **others):
        super().__init__(**others)
        self.actor, self.critic = actor, critic
        self.gamma, self.noise, self.updates, self.batch_size = gamma, noise, updates, batch_size
        self.optimizer = torch.optim.Adam(actor.parameters(), lr=learning_rate)
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=learning_rate)
        self.replay = Replay(20_000)

    @staticmethod
    def construct_algorithm(obs, env, cfg, device):
        groups = {"actor": cfg["obs_groups"]["actor"], "critic": [*cfg["obs_groups"]["actor"], "action"]}
        example = {**obs, "action": torch.zeros(env.num_envs, env.num_actions)}
        actor = MLPModel(example, groups, "actor", env.num_actions, hidden_dims=[32]).to(device)
        critic = MLPModel(example, groups, "critic", 1, hidden_dims=[32]).to(device)
        options = {key: value for key, value in cfg["algorithm"].items() if key != "class_name"}
        return ReplayGradient(actor, critic, device=device, multi_gpu_cfg=cfg["multi_gpu"], **options)

    def get_policy(self):
        return self.actor

    def act(self, obs):
        mean = self.actor(obs)
        actions = mean + self.noise * torch.randn_like(mean)
        self.transition = {**{group: obs[group].clone() for group in self.actor.obs_groups}, "action": actions}
        return actions

    def process_env_step(self, obs, rewards, dones, extras):
        following = {f"next {group}": obs[group] for group in self.actor.obs_groups}
        self.replay.add({**self.transition, **following, "reward": rewards[:, None], "done": dones[:, None].float()})

    def update(self):
        for _ in range(self.updates):
            here = self.replay.sample(self.batch_size)
            there = {group: here[f"next {group}"] for group in self.actor.obs_groups}
            with torch.no_grad():
                value = self.critic({**there, "action": self.actor(there)})
                wanted = here["reward"] + self.gamma * (1.0 - here["done"]) * value
            critic_loss = (self.critic(here) - wanted).square().mean()
            self.step(self.critic_optimizer, critic_loss)
            actor_loss = -self.critic({**here, "action": self.actor(here)}).mean()
            self.step(self.optimizer, actor_loss)
        self.metrics = {"Replay/size": float(min(self.replay.num_added, self.replay.capacity))}
        return {"critic": critic_loss.item(), "actor": actor_loss.item()}

    def step(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
