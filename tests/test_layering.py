"""Dependencies point one way: what may be loaded by whom, asked of one fresh process."""

import subprocess
import sys

from derm.settings import PROJECT

SCRIPT = """
import importlib, pkgutil, sys
import derm

def load(names):
    for name in names:
        importlib.import_module(name)

def refuse(*packages):
    loaded = [p for p in packages if p in sys.modules]
    assert not loaded, f"{loaded} loaded by one of {[m for m in sys.modules if m.startswith('derm')]}"

load(["derm.errors", "derm.settings", "derm.registry", "derm.cli"])
refuse("pandas", "keras", "tensorflow", "jax", "streamlit")
found = [m.name for m in pkgutil.walk_packages(derm.__path__, "derm.") if not m.name.startswith("derm.nn")]
assert "derm.schema" in found and "derm.ui" in found
load(n for n in found if not n.startswith("derm.ui"))
refuse("keras", "tensorflow", "jax", "streamlit")
load(found)
refuse("keras", "tensorflow", "jax")
"""


def test_only_nn_loads_keras_and_only_ui_loads_streamlit():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
