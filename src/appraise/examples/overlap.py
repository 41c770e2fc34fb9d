"""What a row is recognised by: the question that it asks, in whatever writing.

Used where a row must not slip through: between a target and the pool, and between the splits of a
target. Texts are compared without case, white space and typographic form, and without a question
mark, full stop or colon at the very end; operators, brackets and all other marks count.

A question is its stem (the prompt without the lines of its options, or the last message of a
conversation's user) and what stands beside it: the options, or the other messages. The stem alone
is enough where it says enough. It does not where rows of one source share it with other options
and other answers, as in "Which of these two sentences is polite?": there what stands beside it
carries the content.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from appraise.examples.conversations import USER, text_of
from appraise.examples.example import Example, Prompt
from appraise.examples.identity import digest, without_label

_OPTION = re.compile(r"\(?([A-Z])[.:)]\s")
_HEADING = re.compile(r"(question|options|choices|answer)\s*:?", re.IGNORECASE)
_ENDS = frozenset(".?:。؟।")  # not "!": 5! is not 5
_CLOSING = frozenset(")]\"'")
_ENOUGH = 4  # words; a shorter stem ("True or false?") says too little to be recognised by
# Unicode's compatible characters that say something else: x² is not x2, nor is ½ the text 1⁄2
_MEANT = ("<super>", "<sub>", "<fraction>", "<circle>", "<font>")
_TYPOGRAPHIC = {
    **dict.fromkeys("‘’‚‛′`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—−", "-"),
}


class _Forms(dict[int, str]):
    """Each character in its plain form, a mark between spaces; worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = _TYPOGRAPHIC.get(character, character)
        if unicodedata.category(character) == "Cf":  # a soft hyphen, a joiner: nothing to be seen
            plain = ""
        elif not unicodedata.decomposition(character).startswith(_MEANT):
            plain = unicodedata.normalize("NFKC", plain)
        spaced = (each if _of_word(each) else f" {each} " for each in plain)
        return self.setdefault(code, "".join(spaced))


def _of_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


_FORMS = _Forms()


def normalise(text: str) -> str:
    """Words and marks of a text with a space between them, in lower case and plain forms.

    A question mark, full stop or colon at the very end is left out; no other mark is.
    """
    words = unicodedata.normalize("NFC", text).casefold().translate(_FORMS).split()
    if len(words) > 1 and words[-1] in _ENDS and (_of_word(words[-2][-1]) or words[-2] in _CLOSING):
        words.pop()
    return " ".join(words)


def bare(text: str) -> str:
    """Normalised text without quotation marks around it: what an answer says."""
    return normalise(normalise(text).strip("\"' "))


@dataclass(frozen=True)
class Parts:
    """A prompt, parted.

    Attributes:
        stem: what is asked, without its options.
        options: letter → option, as the prompt lists them.
        others: the other messages of a conversation.
    """

    stem: str
    options: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, prompt: Prompt) -> Parts:
        """The parts of a prompt; of a conversation those of its user's last message."""
        if isinstance(prompt, str):
            return cls._of_text(prompt)
        turns = prompt.messages
        asked = [place for place, message in enumerate(turns) if message.role == USER]
        if not asked:
            return cls(text_of(prompt))
        others = (*turns[: asked[-1]], *turns[asked[-1] + 1 :])
        texts = tuple(f"{message.role}: {message.content}" for message in others)
        return replace(cls._of_text(turns[asked[-1]].content), others=texts)

    @classmethod
    def _of_text(cls, text: str) -> Parts:
        """Lines such as `A. …` or `(B) …` are options where two of them at least follow a stem.

        What comes after the last belongs to it. Bare headings (`Options:`) are left out.
        """
        lines = [line.strip() for line in text.splitlines()]
        listed = [place for place, line in enumerate(lines) if _OPTION.match(line)]
        if len(listed) < 2 or listed[0] == 0:  # an initial or an enumeration, not a choice
            return cls(text)
        options: dict[str, str] = {}
        letter = ""
        for line in lines[listed[0] :]:
            label = _OPTION.match(line)
            if label is not None:
                letter = label[1]
                line = line[label.end() :]
            elif _HEADING.fullmatch(line):
                continue
            options[letter] = f"{options[letter]}\n{line}" if letter in options else line
        stem = (line for line in lines[: listed[0]] if not _HEADING.fullmatch(line))
        return cls("\n".join(stem), options)


@dataclass(frozen=True)
class Question:
    """What a row asks, normalised.

    Attributes:
        stem: without its options, or the last message of a conversation's user.
        beside: the other messages, then the options, sorted; nothing where the stem stands alone.
        answer: the completion; of a letter the option that it names.
        answered: whether the answer is one of the options, and so tells which question it was.
        enough: whether the stem may stand for the question.
    """

    stem: str
    beside: tuple[str, ...]
    answer: str
    answered: bool
    enough: bool

    @classmethod
    def of(cls, example: Example) -> Question:
        """The question of an example; options in its prompt come before its `choices`."""
        parts, completion = Parts.of(example.prompt), without_label(example.completion.strip())
        listed = parts.options.values() or example.choices or ()
        options = sorted({normalise(without_label(option)) for option in listed})
        answer = normalise(parts.options.get(completion.strip("().:"), completion))
        stem = normalise(parts.stem)
        return cls(
            stem=stem,
            beside=(*map(normalise, parts.others), *options),
            answer=answer,
            answered=answer in options,
            enough=not (parts.options or parts.others) or _words(stem) >= _ENOUGH,
        )

    @property
    def certain(self) -> tuple[str, ...]:
        """Marks that hold whatever other rows ask: of the whole, and of the stem and its answer."""
        whole = digest(self.stem, *self.beside)
        told = self.answered or not self.beside
        return (whole, digest(f"{self.stem}\x1e{self.answer}")) if told else (whole,)


def _words(text: str) -> int:
    """Words of a normalised text; a character of East Asian writing counts as one."""
    words = (word for word in text.split() if word[0].isalnum())
    return sum(len(word) if unicodedata.east_asian_width(word[0]) in "WF" else 1 for word in words)


class Marks:
    """What the rows of one source are recognised by.

    Args:
        examples: all rows of the source that could be read: they tell which stems say too little.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        beside = defaultdict[str, set[tuple[str, ...]]](set)
        answers = defaultdict[str, set[str]](set)
        questions = [Question.of(example) for example in examples if example.prompt]
        for question in questions:
            beside[question.stem].add(question.beside)
            answers[question.stem].add(question.answer)
        self._shared = {stem for stem in beside if len(beside[stem]) > 1 and len(answers[stem]) > 1}
        self.all = frozenset(mark for question in questions for mark in self._of(question))

    def of(self, example: Example) -> tuple[str, ...]:
        """The marks of an example: first of its whole question, then of parts that say enough."""
        return self._of(Question.of(example))

    def _of(self, question: Question) -> tuple[str, ...]:
        if not question.beside or not question.enough or question.stem in self._shared:
            return question.certain
        return (*question.certain, digest(question.stem))
