"""What the room asks of a model and of a tokenizer: the members of transformers that are called.

The models are transformers' causal language models, plain or under a LoRA of PEFT; the tokenizers
are transformers' too. Nothing here is implemented by us.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch.utils.hooks import RemovableHandle


class TextConfig(Protocol):
    """Of the part of a model that reads text."""

    num_hidden_layers: int


class Config(Protocol):
    """A model's configuration; of a model that reads text alone it is its own text part."""

    _attn_implementation: str

    def get_text_config(self) -> TextConfig:
        """Of the part that reads text."""
        ...


class Cache(Protocol):
    """Keys and values of what was read already."""

    def batch_repeat_interleave(self, repeats: int) -> None:
        """So many copies of each sequence."""
        ...


class Output(Protocol):
    """What a forward pass gives.

    Attributes:
        logits: (sequences, places, vocabulary).
        past_key_values: with `use_cache`.
    """

    logits: torch.Tensor
    past_key_values: Cache


class Module(Protocol):
    """The members of `torch.nn.Module` that are called."""

    training: bool

    def eval(self) -> Any:
        """Evaluation mode: nothing drops out."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Training mode."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Whether its parameters have gradients."""
        ...

    def named_modules(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """All modules by full name."""
        ...

    def modules(self) -> Iterator[torch.nn.Module]:
        """All modules."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """All parameters by full name."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """All parameters."""
        ...

    def buffers(self) -> Iterator[torch.Tensor]:
        """All tensors that are no parameters."""
        ...


class LanguageModel(Module, Protocol):
    """A causal language model of transformers."""

    @property
    def config(self) -> Any:
        """Its configuration: see `Config`."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it is; of a spread model, where its first parameter is."""
        ...

    @property
    def forward(self) -> Callable[..., Any]:
        """One pass, whose parameters are looked at."""
        ...

    def __call__(self, **given: Any) -> Any:
        """One pass: see `Output`."""
        ...

    def generate(self, inputs: torch.Tensor, **how: Any) -> torch.Tensor:
        """Token ids of the prompts and their completions: (sequences, tokens)."""
        ...

    def get_input_embeddings(self) -> torch.nn.Embedding:
        """Of the vocabulary."""
        ...

    def get_output_embeddings(self) -> torch.nn.Module | None:
        """The head, where there is one."""
        ...

    def get_decoder(self) -> Any:
        """The layers that read text."""
        ...

    def to(self, device: str) -> Any:
        """The model, moved to a device."""
        ...


class AdaptedModel(Module, Protocol):
    """A language model with a LoRA of PEFT, under PEFT's name `default`."""

    @property
    def peft_config(self) -> Mapping[str, Any]:
        """`LoraConfig` of each adapter, by its name."""
        ...

    @property
    def device(self) -> torch.device:
        """As of the language model."""
        ...

    def __call__(self, **given: Any) -> Any:
        """One pass, with the adapter."""
        ...

    def get_base_model(self) -> Any:
        """The language model, with the adapter's layers in it."""
        ...

    def unload(self) -> Any:
        """The language model, without the adapter."""
        ...

    def delete_adapter(self, adapter_name: str) -> None:
        """Forget an adapter."""
        ...

    def save_pretrained(self, save_directory: str, **how: Any) -> None:
        """Write the adapter in PEFT's layout."""
        ...

    def register_forward_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook` before each pass."""
        ...


class Tokenizer(Protocol):
    """A tokenizer of transformers."""

    @property
    def bos_token_id(self) -> int | None:
        """What begins a text, if anything does."""
        ...

    @property
    def eos_token_id(self) -> int | None:
        """What ends a text, if anything does."""
        ...

    @property
    def eos_token(self) -> str | None:
        """The same, as text."""
        ...

    @property
    def chat_template(self) -> str | dict[str, str] | None:
        """How a conversation is written, if the model has a chat format."""
        ...

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """Tokens beside the vocabulary, by id: `tokenizers.AddedToken`."""
        ...

    @property
    def chat_control_tokens(self) -> Sequence[str] | None:
        """Which of them control the model, besides those that are declared special."""
        ...

    def __call__(self, text: str, add_special_tokens: bool = True) -> Mapping[str, list[int]]:
        """`input_ids` of a text."""
        ...

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of token ids."""
        ...

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: bool,
        add_generation_prompt: bool = False,
    ) -> str:
        """A conversation in the chat format, as text where `tokenize` is false."""
        ...

    def __hash__(self) -> int: ...

    def convert_ids_to_tokens(self, ids: int) -> str:
        """The token of an id."""
        ...

    def save_pretrained(self, save_directory: str) -> Any:
        """Write the tokenizer as the hub has it."""
        ...
