"""Small matrices of exact fractions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction


class Matrix:
    """An immutable matrix.

    Raises:
        ValueError: no rows, or rows of different lengths.

    """

    def __init__(self, rows: Iterable[Sequence[int | Fraction]]) -> None:
        self._rows = tuple(tuple(Fraction(value) for value in row) for row in rows)
        if not self._rows or not self._rows[0]:
            raise ValueError("a matrix needs at least one row and one column")
        if len({len(row) for row in self._rows}) > 1:
            raise ValueError("rows of different lengths")

    @classmethod
    def identity(cls, size: int) -> Matrix:
        """Return the square matrix with ones on its diagonal."""
        return cls([[int(row == column) for column in range(size)] for row in range(size)])

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self._rows), len(self._rows[0])

    @property
    def square(self) -> bool:
        return self.shape[0] == self.shape[1]

    def __getitem__(self, place: tuple[int, int]) -> Fraction:
        row, column = place
        return self._rows[row][column]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Matrix):
            return NotImplemented
        return self._rows == other._rows

    def __hash__(self) -> int:
        return hash(self._rows)

    def __add__(self, other: Matrix) -> Matrix:
        if self.shape != other.shape:
            raise ValueError(f"cannot add {self.shape} and {other.shape}")
        return Matrix(
            [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(self._rows, other._rows, strict=True)]
        )

    def __neg__(self) -> Matrix:
        return Matrix([[-value for value in row] for row in self._rows])

    def __sub__(self, other: Matrix) -> Matrix:
        return self + -other

    def __mul__(self, other: Matrix | int | Fraction) -> Matrix:
        if not isinstance(other, Matrix):
            return Matrix([[value * other for value in row] for row in self._rows])
        if self.shape[1] != other.shape[0]:
            raise ValueError(f"cannot multiply {self.shape} and {other.shape}")
        columns = other.transposed()._rows
        return Matrix(
            [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in self._rows]
        )

    def __pow__(self, exponent: int) -> Matrix:
        if not self.square:
            raise ValueError("only square matrices have powers")
        if exponent < 0:
            return self.inverse() ** -exponent
        result, base = Matrix.identity(self.shape[0]), self
        while exponent:
            if exponent % 2:
                result = result * base
            base = base * base
            exponent //= 2
        return result

    def transposed(self) -> Matrix:
        """Return the matrix with rows and columns exchanged."""
        return Matrix(zip(*self._rows, strict=True))

    def trace(self) -> Fraction:
        """Return the sum of the diagonal of a square matrix."""
        if not self.square:
            raise ValueError("only square matrices have a trace")
        return sum((self._rows[place][place] for place in range(self.shape[0])), Fraction(0))

    def determinant(self) -> Fraction:
        """Return the determinant of a square matrix."""
        if not self.square:
            raise ValueError("only square matrices have a determinant")
        reduced, factor = _eliminated([list(row) for row in self._rows])
        for place in range(self.shape[0]):
            factor *= reduced[place][place]
        return factor

    def inverse(self) -> Matrix:
        """Return the matrix that gives the identity when multiplied with this one.

        Raises:
            ValueError: not square, or singular.

        """
        if not self.square:
            raise ValueError("only square matrices have an inverse")
        size = self.shape[0]
        beside = [[Fraction(row == column) for column in range(size)] for row in range(size)]
        rows, _ = _eliminated([[*a, *b] for a, b in zip(self._rows, beside, strict=True)])
        for place in reversed(range(size)):
            pivot = rows[place][place]
            if pivot == 0:
                raise ValueError("the matrix is singular")
            rows[place] = [value / pivot for value in rows[place]]
            for above in range(place):
                factor = rows[above][place]
                rows[above] = [a - factor * b for a, b in zip(rows[above], rows[place], strict=True)]
        return Matrix([row[size:] for row in rows])

    def rank(self) -> int:
        """Return how many rows are independent."""
        rows = [list(row) for row in self._rows]
        found = 0
        for column in range(self.shape[1]):
            pivot = next((row for row in range(found, len(rows)) if rows[row][column]), None)
            if pivot is None:
                continue
            rows[found], rows[pivot] = rows[pivot], rows[found]
            for below in range(found + 1, len(rows)):
                factor = rows[below][column] / rows[found][column]
                rows[below] = [a - factor * b for a, b in zip(rows[below], rows[found], strict=True)]
            found += 1
        return found

    def __repr__(self) -> str:
        return f"Matrix({[[str(value) for value in row] for row in self._rows]})"


def _eliminated(rows: list[list[Fraction]]) -> tuple[list[list[Fraction]], Fraction]:
    sign = Fraction(1)
    for place in range(len(rows)):
        pivot = next((row for row in range(place, len(rows)) if rows[row][place]), None)
        if pivot is None:
            continue
        if pivot != place:
            rows[place], rows[pivot] = rows[pivot], rows[place]
            sign = -sign
        for below in range(place + 1, len(rows)):
            factor = rows[below][place] / rows[place][place]
            rows[below] = [a - factor * b for a, b in zip(rows[below], rows[place], strict=True)]
    return rows, sign
