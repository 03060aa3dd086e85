"""From a sentence to numbers of words or word pieces, as the text side of a model package asks."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

_WORD = re.compile(r"[a-z]+|\d+|%")
# What stands between words and says nothing that words do not say.
_SILENT = set(".,;:!?()'\"-")
# 55.5, 40-50 and -5 are other numbers than their digits.
_JOINED_DIGITS = re.compile(r"\d[.,-]\d|^-\d")
_PAD, _UNKNOWN = 0, 1
_UNKNOWN_PIECE, _FIRST_PIECE, _LAST_PIECE = "[UNK]", "[CLS]", "[SEP]"
SPECIAL_PIECES = ("[PAD]", _UNKNOWN_PIECE, _FIRST_PIECE, _LAST_PIECE)
_LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class Splitting(Enum):
    """How a sentence is split.

    ``words``: whole words and numbers, in lower case (`split_words`); number 1 of the vocabulary
    stands for words that it lacks. ``pieces``: BERT's word pieces of the sentence in lower case,
    between [CLS] and [SEP]. ``pieces without accents``: the same without accents.
    """

    WORDS = "words"
    PIECES = "pieces"
    PLAIN_PIECES = "pieces without accents"


def split_words(text: str) -> list[str]:
    """Lower-case words, whole numbers and per-cent signs of a sentence.

    Examples
    --------
    >>> split_words("LVEF is 55 %, normal.")
    ['lvef', 'is', '55', '%', 'normal']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Tokens:
    """A sentence as numbers.

    Attributes
    ----------
    numbers
        Of words or pieces in the vocabulary; never cut, and never empty.
    unknown
        What of the sentence the vocabulary lacks, as it was written, each once.
    """

    numbers: tuple[int, ...]
    unknown: tuple[str, ...]


class Tokenizer:
    """Splits sentences by one vocabulary.

    Parameters
    ----------
    vocabulary
        Words or pieces in the order of their numbers.
    splitting
        How.
    max_tokens
        The most numbers that the text encoder takes.

    Raises
    ------
    ValueError
        If the vocabulary lacks what every sentence needs.
    """

    def __init__(self, vocabulary: Sequence[str], splitting: Splitting, max_tokens: int) -> None:
        self.vocabulary = tuple(vocabulary)
        self.splitting = splitting
        self.max_tokens = max_tokens
        self._number = {word: number for number, word in enumerate(self.vocabulary)}
        lacking = [piece for piece in SPECIAL_PIECES if piece not in self._number]
        if splitting is not Splitting.WORDS and lacking:
            raise ValueError(f"the vocabulary lacks {', '.join(lacking)}")
        if len(self.vocabulary) <= _UNKNOWN:
            raise ValueError("the vocabulary is empty")

    def __call__(self, text: str) -> Tokens:
        """Split one sentence.

        Examples
        --------
        >>> words = Tokenizer(["<pad>", "<unknown>", "lvef", "55"], Splitting.WORDS, 48)
        >>> words("LVEF > 55 percent.")
        Tokens(numbers=(2, 3, 1), unknown=('>', 'percent'))
        """
        if self.splitting is Splitting.WORDS:
            return self._words(text)
        return self._pieces(text)

    def _words(self, text: str) -> Tokens:
        numbers: list[int] = []
        unknown: list[str] = []
        for part in text.split():
            words = split_words(part)
            numbers += [self._number.get(word, _UNKNOWN) for word in words]
            rest = set(_WORD.sub("", part.lower())) - _SILENT
            if rest or _JOINED_DIGITS.search(part):
                unknown.append(part)
            else:
                unknown += [word for word in words if word not in self._number]
        if not numbers:  # nothing but signs
            unknown.append(text.strip())
        return Tokens(tuple(numbers) or (_UNKNOWN,), tuple(dict.fromkeys(unknown)))

    def _pieces(self, text: str) -> Tokens:
        numbers = [self._number[_FIRST_PIECE]]
        unknown: list[str] = []
        for word in _split_at_punctuation(text.lower(), self.splitting is Splitting.PLAIN_PIECES):
            pieces = self._pieces_of(word)
            if not pieces:
                unknown.append(word)
            numbers += pieces or [self._number[_UNKNOWN_PIECE]]
        return Tokens(
            (*numbers, self._number[_LAST_PIECE]),
            tuple(dict.fromkeys(unknown)),
        )

    def _pieces_of(self, word: str) -> list[int]:
        """Longest piece first (Wu et al. 2016); empty if the word cannot be made of pieces."""
        if len(word) > _LONGEST_WORD:
            return []
        found: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._number), None)
            if end is None:
                return []
            found.append(self._number[prefix + word[start:end]])
            start = end
        return found


def by_length(rows: Sequence[tuple[int, ...]], at_most: int) -> Iterator[list[int]]:
    """Group rows of one length, so that a network that knows no padding can take them together.

    Examples
    --------
    >>> list(by_length([(1,), (1, 2), (3,), (4,)], at_most=2))
    [[0, 2], [3], [1]]
    """
    order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
    for _, group in itertools.groupby(order, key=lambda at: len(rows[at])):
        same = list(group)
        yield from (same[start : start + at_most] for start in range(0, len(same), at_most))


def _split_at_punctuation(text: str, without_accents: bool) -> Iterator[str]:
    """Words and single punctuation marks, as BERT's basic tokenizer gives them."""
    if without_accents:
        text = unicodedata.normalize("NFD", text)
    word = ""
    for sign in text:
        category = unicodedata.category(sign)
        is_space = sign in "\t\n\r" or category == "Zs"
        if not is_space and (category.startswith("C") or sign == "\ufffd"):
            continue
        if without_accents and category == "Mn":
            continue
        alone = category.startswith("P") or _is_ascii_symbol(sign) or _is_cjk(sign)
        if is_space or alone:
            if word:
                yield word
            word = ""
            if alone:
                yield sign
        else:
            word += sign
    if word:
        yield word


def _is_ascii_symbol(sign: str) -> bool:
    return sign.isascii() and sign.isprintable() and not sign.isalnum() and sign != " "


def _is_cjk(sign: str) -> bool:
    return any(low <= ord(sign) <= high for low, high in _CJK)
