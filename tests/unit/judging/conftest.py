import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "generation"))  # the test server and the small models live there
