"""An objective whose import kills the worker."""

import os
import sys

print("no CUDA today", file=sys.stderr, flush=True)
os._exit(7)
