"""Recipes that train the pocket models. Each one runs on a laptop and imports nothing of the app."""

import os

# Threads that sleep while they wait instead of spinning: beside other programs training is twice as fast or more.
# OpenMP reads it when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
