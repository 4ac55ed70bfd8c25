"""The only part that imports Keras: networks, training, prediction, explanation."""

import os

# TensorFlow writes pages of notices about the CPU and the GPU to the log; only its warnings matter here.
# It reads this once, when it is first imported, so it is set before any module below can do that.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
