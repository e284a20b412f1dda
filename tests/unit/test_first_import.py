"""The first import of transformers: what it spares the library is exactly what the library would have found."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from pathlib import Path
import transformers
from transformers import utils
from pipelines import first_import

given = {}

class Seen(utils._LazyModule):
    def __init__(self, name, file, structure, **more):
        given.update(structure)
        super().__init__(name, file, structure, **more)

utils._LazyModule = Seen
first_import.transformers()
found = utils.import_utils.define_import_structure(Path(transformers.__file__).parent / "models" / "__init__.py")
plain = lambda seen: {needs: {name: set(what) for name, what in of.items()} for needs, of in seen.items() if of}
print(plain(given) == plain(found), len(found) > 1, first_import.transformers() is transformers)
"""


def test_the_models_are_all_known():
    run = subprocess.run([sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.split() == ["True", "True", "True"], run.stderr[-600:]
