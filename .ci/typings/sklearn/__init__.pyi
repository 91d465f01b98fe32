# As for Keras: what a checker infers of scikit-learn (average=None refused) is wrong.
from typing import Any

def __getattr__(name: str) -> Any: ...
