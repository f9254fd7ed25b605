# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""A policy in the browser: the robot in 3D, what it is asked for, and what it does. Needs viser.

``shapes`` and ``forces`` read a MuJoCo model, ``robot`` an environment; ``joystick``, ``pace``, ``history``,
``policies`` and ``session`` decide what happens and know no browser; ``scene``, ``panel`` and ``server`` are the
browser's side; ``viewer`` puts them together, ``beside_training`` does so in a process beside a training.
"""
