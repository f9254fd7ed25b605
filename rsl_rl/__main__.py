# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``python -m rsl_rl`` is the command line."""

from rsl_rl.cli.main import main

if __name__ == "__main__":
    main()
