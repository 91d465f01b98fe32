"""Sums over the replicas of two logical devices."""

import warm

PROGRAM = """
import numpy as np, tensorflow as tf
from tfl.distribution.replicas import read_sums, write_sums
from tfl.distribution.strategy import make_strategy

strategy = make_strategy("cpu:2")
outside = tf.Variable(0.0)
with strategy.scope():
    how = {"synchronization": tf.VariableSynchronization.ON_READ, "aggregation": tf.VariableAggregation.SUM}
    inside = tf.Variable(0.0, **how)
variables = [inside, outside]

@tf.function
def add():
    strategy.run(lambda: [variable.assign_add(1.0) for variable in variables] and None)

def read():
    return [float(value) for value in tf.function(lambda: read_sums(strategy, variables))()]

add()
print(read())
write_sums(strategy, variables, [np.float32(5), np.float32(7)])
print(read())
add()
print(read())
"""


def test_what_replicas_add_up_is_read_and_written_back_whether_they_have_copies_or_not() -> None:
    done = warm.run(["-c", PROGRAM])
    assert done.stdout.splitlines() == ["[2.0, 2.0]", "[5.0, 7.0]", "[7.0, 9.0]"], done.stderr
