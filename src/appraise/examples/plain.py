"""A prompt and its completion as plain text, without a chat format."""

from __future__ import annotations

from appraise.examples.conversations import as_messages
from appraise.examples.example import Conversation, Prompt
from appraise.settings.model import BaseModelParams


def plain_texts(params: BaseModelParams, prompt: Prompt, completion: str) -> tuple[str, str]:
    """Prompt and completion as the base model reads them without a chat format.

    The turns of a conversation are lines in place of `base_model.prompt`, and the last one is the
    assistant's to fill: `User: …`, `Assistant: …`, `User: …`, `Assistant:`.

    A completion that begins with white space, such as a line of code or ` blue.` in sets that
    join it to the prompt, brings its own: a space before `{completion}` is then left out.
    """
    if isinstance(prompt, Conversation):
        turns = [f"{message.role.capitalize()}: {message.content}\n" for message in prompt]
        asked = "".join(turns) + "Assistant:"
    else:
        asked = params.prompt.replace("{prompt}", prompt)
    written = params.completion
    if completion[:1].isspace():
        written = written.replace(" {completion}", "{completion}")
    return asked, written.replace("{completion}", completion)


def measured_text(params: BaseModelParams, prompt: Prompt, completion: str) -> str:
    """The text whose tokens count as a prompt's and its completion's.

    In a chat format it lacks the template's own tokens, some for each turn: they are the model's.
    """
    if not params.chat:
        return "".join(plain_texts(params, prompt, completion))
    return "\n".join(message["content"] for message in as_messages(prompt)) + completion
