# Copyright (c) 2026, The RSL-RL Independent Authors
# SPDX-License-Identifier: BSD-3-Clause

"""``python -m rsl_rl`` is the command line."""

import os
import sys

# With -m Python looks into the working folder first, which may be somebody else's; the command line adds it when code
# of the user's own is named.
if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):
    del sys.path[0]

from rsl_rl.cli.main import main

if __name__ == "__main__":
    main()
