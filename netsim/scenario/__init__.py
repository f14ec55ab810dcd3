"""From a YAML file to verdicts: located reading, models, checks, the run, the result.

The way of a scenario: `reader` (YAML nodes, 1.2 core rules) -> `located` (every scalar knows file, line and column)
-> `check` (types, cross references and command lines, independently, all problems at once) -> `model` (frozen values)
-> `runner` (the timeline) -> `gather` and `expect` (verdicts) -> `result`. May import lab and everything below it.
"""
