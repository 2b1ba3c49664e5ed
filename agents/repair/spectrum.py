"""How suspicious a line is, from how many failing and passing tests ran it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

Formula = Literal["ochiai", "dstar", "tarantula", "barinel", "jaccard", "op2"]

FORMULAS: tuple[Formula, ...] = get_args(Formula)


def _ochiai(ef: float, ep: float, nf: float, _np: float) -> float:
    """Abreu, Zoeteweij, van Gemund: An Evaluation of Similarity Coefficients for Software Fault Localization (2006)."""
    below = math.sqrt((ef + nf) * (ef + ep))
    return ef / below if below else 0.0


def _dstar(ef: float, ep: float, nf: float, _np: float) -> float:
    """Wong, Debroy, Gao, Li: The DStar Method for Effective Software Fault Localization (2014), star = 2."""
    below = ep + nf
    return ef * ef / below if below else (math.inf if ef else 0.0)


def _tarantula(ef: float, ep: float, nf: float, np: float) -> float:
    """Jones, Harrold, Stasko: Visualization of Test Information to Assist Fault Localization (2002)."""
    failed = ef / (ef + nf) if ef + nf else 0.0
    passed = ep / (ep + np) if ep + np else 0.0
    return failed / (failed + passed) if failed + passed else 0.0


def _barinel(ef: float, ep: float, _nf: float, _np: float) -> float:
    """Abreu, Zoeteweij, van Gemund: Spectrum-Based Multiple Fault Localization (2009), in its closed form."""
    return 1.0 - ep / (ep + ef) if ef else 0.0


def _jaccard(ef: float, ep: float, nf: float, _np: float) -> float:
    """Chen, Kiciman, Fratkin, Fox, Brewer: Pinpoint, Problem Determination in Large Internet Services (2002)."""
    below = ef + nf + ep
    return ef / below if below else 0.0


def _op2(ef: float, ep: float, _nf: float, np: float) -> float:
    """Naish, Lee, Ramamohanarao: A Model for Spectra-Based Software Diagnosis (2011)."""
    return ef - ep / (ep + np + 1.0)


_TABLE: dict[Formula, Callable[[float, float, float, float], float]] = {
    "ochiai": _ochiai,
    "dstar": _dstar,
    "tarantula": _tarantula,
    "barinel": _barinel,
    "jaccard": _jaccard,
    "op2": _op2,
}


def suspiciousness(formula: Formula, ef: float, ep: float, nf: float, np: float) -> float:
    """Return the formula's value for one line; larger is more suspicious.

    Counts of tests: `ef` failing that ran the line, `ep` passing that ran it, `nf` failing that did not, `np` passing
    that did not. Ochiai, Tarantula, Barinel and Jaccard lie between 0 and 1, DStar may be infinite, Op2 negative.

    Raises:
        ValueError: a negative count, or an unknown formula.

    """
    if min(ef, ep, nf, np) < 0:
        raise ValueError("test counts cannot be negative")
    if formula not in _TABLE:
        raise ValueError(f"unknown formula {formula!r}; one of {', '.join(FORMULAS)}")
    return _TABLE[formula](ef, ep, nf, np)
