"""Sentences as numbers: our words, and BERT's word pieces against BERT's own tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
from transformers.models.bert.tokenization_bert import BertTokenizer

from model_core.tokens import Splitting, Tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789é"
PIECES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "ventr", "##icle", "##i", "ejection",
    "frac", "##tion", "##\u0301", ".", ":", "<", "%", "-", "–", "¬", "中",
    *LETTERS, *(f"##{letter}" for letter in LETTERS),
]  # fmt: skip
WORDS = ("<pad>", "<unknown>", "about", "lvef", "left", "55", "5", "%", "percent", "the", "is")


@pytest.mark.parametrize("splitting", [Splitting.PIECES, Splitting.PLAIN_PIECES])
def test_word_pieces_are_those_of_bert(splitting: Splitting):
    theirs = BertTokenizer(
        vocab={piece: number for number, piece in enumerate(PIECES)},
        do_lower_case=splitting is Splitting.PLAIN_PIECES,
    )
    ours = Tokenizer(PIECES, splitting, 512)
    rng = np.random.default_rng(1)
    signs = "abcxyz  \t\n.,:%<>-–éÉüİß中文漢0123\u200b\0\ufffd\xa0\u3000´`^~$µΩ\u0301[]MASKSEP_¬"
    texts = ["The ventricle: ejection fraction 55 %.", "", "a" * 101, "a" * 100]
    lengths = rng.integers(0, 26, 2000)
    texts += ["".join(rng.choice(list(signs), length)) for length in lengths]
    for text in texts:
        assert list(ours(text).numbers) == theirs(text.lower())["input_ids"], repr(text)


def test_pieces_that_cannot_be_made_are_named():
    tokenizer = Tokenizer(PIECES, Splitting.PIECES, 512)
    assert tokenizer("the ventricle").unknown == ()
    assert tokenizer("The Ω of the Ω ventricle 文").unknown == ("ω", "文")


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("LVEF is about 55 percent.", ()),
        ("(LVEF: 55%), about 'left-left'!", ()),
        ("LVEF is terrible, terrible.", ("terrible",)),
        ("Left ventricle", ("ventricle",)),
        ("LVEF is 56", ("56",)),
        # Dropping a sign or a joint between digits would change what is said.
        ("LVEF < 55", ("<",)),
        ("LVEF<55", ("LVEF<55",)),
        ("LVEF is 5.5", ("5.5",)),
        ("LVEF 5-55 %", ("5-55",)),
        ("LVEF -5", ("-5",)),
        ("LVEF élevé", ("élevé",)),
        ("?!", ("?!",)),
    ],
)
def test_what_our_words_do_not_say_is_named(text: str, unknown: tuple[str, ...]):
    assert Tokenizer(WORDS, Splitting.WORDS, 48)(text).unknown == unknown


def test_our_words_are_those_of_the_teacher():
    """As `word_numbers` gives them to the text tower in training."""
    from model_core.teachers.image_text import word_numbers

    number = {word: at for at, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WORDS, Splitting.WORDS, 48)
    for text in ("LVEF is about 55 percent.", "LVEF < 5.5 %", "", "?", "The left, the right"):
        (row,) = word_numbers([text], number, 48).tolist()
        assert list(tokenizer(text).numbers) == row


def test_vocabularies_that_cannot_be_used():
    with pytest.raises(ValueError, match="PAD"):
        Tokenizer(["a", "b", "c"], Splitting.PIECES, 5)
    with pytest.raises(ValueError, match="empty"):
        Tokenizer([], Splitting.WORDS, 5)
