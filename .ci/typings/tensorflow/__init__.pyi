# The stubs that type checkers bundle for TensorFlow, and the types they infer for Keras, are wrong in
# hundreds of places (a schedule is a fine learning rate). Any is honest; everything else stays checked.
from typing import Any

def __getattr__(name: str) -> Any: ...
