"""Pseudo-random bits that are a function of a number, and of nothing else."""

_MASK = (1 << 64) - 1


def splitmix64(number: int) -> int:
    """Return 64 well-mixed bits of ``number``, always the same ones for the same number.

    This is one step of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
    Generators", OOPSLA 2014; https://prng.di.unimi.it/splitmix64.c) with ``number`` as its state.
    """
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
