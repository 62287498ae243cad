"""Short codes for numbers: 58 characters that nobody mistakes for one another (no 0, O, I or l)."""

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE = len(ALPHABET)


def encode(number: int) -> str:
    """The code of a number.

    >>> encode(0), encode(57), encode(58)
    ('1', 'z', '21')
    """
    code = ""
    while True:
        number, digit = divmod(number, BASE)
        code = ALPHABET[digit] + code
        if number == 0:
            return code


def decode(code: str) -> int:
    """The number of a code; ValueError for what `encode` never writes.

    >>> decode("21")
    58
    """
    number = 0
    for character in code:
        number = number * BASE + ALPHABET.index(character)
    if not code or encode(number) != code:
        raise ValueError(code)
    return number
