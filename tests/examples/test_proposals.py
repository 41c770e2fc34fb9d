"""The templates that are proposed for the layouts in which sets come."""

from __future__ import annotations

from typing import Any

import pytest

from appraise.errors import OfferError
from appraise.examples.proposals import propose

USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SHARED = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
LABELLED = {"question": "?", "options": "A. red\nB. blue", "answer": "B. blue"}
LAYOUTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "prompt and completion": (
        {"prompt": "?", "completion": "!", "id": 1},
        {"prompt": "{prompt}", "completion": "{completion}"},
    ),
    "instructions (Alpaca)": (
        {"instruction": "Add.", "input": "1, 2", "output": "3"},
        {"prompt": "{instruction}\n{input}", "completion": "{output}"},
    ),
    "instructions (Dolly)": (
        {"instruction": "?", "context": "c", "response": "!", "category": "qa"},
        {"prompt": "{context}\n{instruction}", "completion": "{response}"},
    ),
    "questions on a passage": (
        {"Passage": "p", "Question": "?", "Answer": "!"},
        {"prompt": "{Passage}\n{Question}", "completion": "{Answer}"},
    ),
    "choices": (
        {"question": "?", "choices": ["red", "blue"], "answer": "red"},
        {"prompt": "{question}", "completion": "{answer}", "choices": "{choices}"},
    ),
    "choices with labels": (
        LABELLED,
        {
            "prompt": "{question}",
            "completion": "{answer:unlabelled}",
            "choices": "{options:unlabelled}",
        },
    ),
    "choices with labels, answers without": (
        LABELLED | {"answer": "blue"},
        {"prompt": "{question}", "completion": "{answer}", "choices": "{options:unlabelled}"},
    ),
    "problems": (
        {"problem": "1 + 1", "solution": "2", "level": "easy"},
        {"prompt": "{problem}", "completion": "{solution}"},
    ),
    "documents": (
        {"document": "long", "summary": "short"},
        {"prompt": "{document}", "completion": "{summary}"},
    ),
    "preferences": (
        {"prompt": "?", "chosen": "yes", "rejected": "no"},
        {"prompt": "{prompt}", "completion": "{chosen}", "rejected": "{rejected}"},
    ),
    "preferences as conversations": (
        {"chosen": [USER, ASSISTANT], "rejected": [USER, ASSISTANT], "score": 1.0},
        {"messages": "chosen", "rejected": "{rejected}"},
    ),
    "messages": ({"messages": [USER, ASSISTANT], "source": "x"}, {"messages": "messages"}),
    "messages within an object": (
        {"conversation": {"messages": [USER, ASSISTANT]}},
        {"messages": "conversation.messages"},
    ),
    "prompt and completion as messages": (
        {"prompt": [USER], "completion": [ASSISTANT]},
        {"prompt": "{prompt}", "completion": "{completion}"},
    ),
    "preferences, the prompt as messages": (
        {"prompt": [USER], "chosen": [ASSISTANT], "rejected": [ASSISTANT]},
        {"prompt": "{prompt}", "completion": "{chosen}", "rejected": "{rejected}"},
    ),
    "preferences as transcripts (hh-rlhf)": (
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello",
            "rejected": "\n\nHuman: Hi\n\nAssistant: No",
        },
        {"messages": "chosen", "rejected": "{rejected:messages}"},
    ),
    "several right answers (SQuAD)": (
        {"context": "c", "question": " ?", "answers": {"text": ["!"], "answer_start": [3]}},
        {"prompt": "{context}\n{question:trimmed}", "completion": "{answers.text:first}"},
    ),
    "choices as objects (ARC)": (
        {"question": "?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answer": "a"},
        {"prompt": "{question}", "completion": "{answer}", "choices": "{choices.text}"},
    ),
    "ShareGPT": ({"id": "1", "conversations": SHARED}, {"messages": "conversations"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout(layout: str) -> None:
    row, templates = LAYOUTS[layout]
    assert propose([row, row]) == templates


def test_an_empty_row_hides_nothing() -> None:
    rows: list[dict[str, Any]] = [{"messages": None}, {"messages": [USER, ASSISTANT]}]
    assert propose(rows) == {"messages": "messages"}


@pytest.mark.parametrize(
    ("row", "lacking"),
    [
        ({"text": "only text"}, "known to be what the model should write"),
        ({"answer": "!", "n": 1}, "known to be what it is given"),
        ({"a": 1, "b": 2}, "known to be what it is given"),
    ],
)
def test_what_is_not_known_is_asked_for(row: dict[str, Any], lacking: str) -> None:
    with pytest.raises(OfferError, match=lacking) as caught:
        propose([row])
    assert ", ".join(row) in str(caught.value)
    assert "--prompt and --completion" in str(caught.value)
