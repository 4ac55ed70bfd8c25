"""The only rooms that import Keras: networks, training, prediction, explanation."""
