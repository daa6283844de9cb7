"""Winners made small: an ordered chain of steps, each measured and kept only where it helps.

Empty so far. The exact part of fusing, ``search_spaces.deploy``, belongs to every network and is applied to all that
leave the house; pruning, distillation and quantisation with their gates come here. May import evaluators and below.
"""
