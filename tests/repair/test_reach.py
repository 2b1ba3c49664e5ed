"""The right repair of small bugs of many kinds is among the first candidates."""

from __future__ import annotations

import ast

import pytest

from agents.repair.priors import UNKNOWN, default_priors
from agents.repair.templates import registry
from agents.repair.templates.site import Template
from tests.repair.pairs_table import PAIRS
from tests.repair.rank_pairs import rank

SAMPLE = PAIRS[::3]
LIMIT = 700


def test_the_table_is_sound() -> None:
    assert len(PAIRS) >= 120
    assert len({p.name for p in PAIRS}) == len(PAIRS)
    for pair in PAIRS:
        assert ast.dump(ast.parse(pair.buggy)) != ast.dump(ast.parse(pair.fixed)), pair.name


def test_most_right_repairs_come_early() -> None:
    ranks = [rank(pair, LIMIT)[0] for pair in SAMPLE]
    found = [r for r in ranks if r is not None]
    assert len(found) >= 0.85 * len(SAMPLE)
    assert sum(r <= 500 for r in found) >= 0.82 * len(SAMPLE)
    assert sum(r <= 50 for r in found) >= 0.45 * len(SAMPLE)


def test_every_rule_has_a_prior_and_every_prior_a_rule() -> None:
    rules = {rule for template in registry.TEMPLATES for rule in template.rules}
    priors = default_priors()
    assert rules == set(priors)
    assert all(UNKNOWN - 2 < value < 3 for value in priors.values())


@pytest.mark.parametrize("template", registry.TEMPLATES, ids=lambda t: t.name)
def test_every_template_says_what_it_does(template: Template) -> None:
    assert template.rules
    assert template.propose.__doc__
