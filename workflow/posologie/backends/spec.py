"""What a reply depends on beside its prompt, and how a backend is run (which changes no reply)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from posologie.models.spec import ChatForm
from posologie.records.specs import Name, PathText, Spec


class Decoding(Spec):
    """How texts are drawn from a model."""

    max_new_tokens: int = Field(default=1024, ge=1, description="tokens of one reply, hidden reasoning included")
    temperature: float | None = Field(
        default=0.0, ge=0, le=2, description="0 is greedy; null sends none (reasoning models refuse one)"
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description="sample from the smallest set with this probability")
    seed: int = Field(default=42, description="seed of sampling; endpoints treat it as a wish")


class Causal(ChatForm):
    """A local causal language model with a chat template, through transformers."""

    kind: Literal["causal"] = Field(default="causal", description="this kind of backend")
    backbone: Name = Field(description="name of one of the study's `local_models` or `backbones`")
    precision: Literal["bfloat16", "float32"] = Field(default="bfloat16", description="of the weights")
    threads: int = Field(default=8, ge=1, description="torch's thread count on the CPU")


class Seq2seq(Spec):
    """A local sequence-to-sequence translation model (Marian and similar), through transformers."""

    kind: Literal["seq2seq"] = Field(default="seq2seq", description="this kind of backend")
    backbone: Name = Field(description="name of one of the study's `local_models` or `backbones`")
    precision: Literal["bfloat16", "float32"] = Field(default="float32", description="of the weights")
    beams: int = Field(default=4, ge=1, description="beams of the first try")
    retry_beams: int = Field(
        default=12, ge=1, description="beams of the second try, for texts that failed their checks"
    )
    window: int = Field(default=400, ge=8, description="tokens of one piece; longer text is split at sentence borders")
    prefix: str = Field(default="", description="text before each piece, such as '>>fra<< '")
    tokenizer_options: dict[str, Any] = Field(
        default_factory=dict, description="options of the tokenizer, such as {src_lang: eng_Latn}"
    )
    first_token: str | None = Field(default=None, description="token forced first, such as NLLB's 'fra_Latn'")
    threads: int = Field(default=8, ge=1, description="torch's thread count on the CPU")


class OpenaiEndpoint(Spec):
    """Any endpoint with OpenAI's chat completions: OpenAI, Gemini's compatible one, vLLM, `transformers serve`."""

    kind: Literal["openai_endpoint"] = Field(default="openai_endpoint", description="this kind of backend")
    url: str = Field(
        default="https://api.openai.com/v1",
        exclude=True,
        description="base URL, without /chat/completions; changing it rebuilds nothing",
    )
    model: str = Field(description="the model's name as the endpoint knows it")
    key_variable: str | None = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the key; null for servers without one",
    )
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_completion_tokens", description="name of the limit on new tokens; older servers know max_tokens"
    )
    send_seed: bool = Field(default=True, description="send the seed; off for endpoints that refuse it")
    label_probabilities: bool = Field(
        default=True, description="request log-probabilities where labels matter; off where the endpoint has none"
    )
    top_logprobs: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="how many tokens' log-probabilities are requested; OpenAI gives 20 at most",
    )
    structured: Literal["json_schema", "json_object", "grammar", "ebnf", "structured_outputs", "guided", "none"] = (
        Field(
            default="json_schema",
            description="how structured output is requested, in addition to the prompt; `grammar` (llama.cpp),"
            " `ebnf` (SGLang),"
            " `structured_outputs` and `guided` (newer and older vLLM) constrain labels as those of a local model are",
        )
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="further fields of the request, such as {reasoning_effort: minimal}"
    )


class Engine(Spec):
    """A local model behind a server that each job starts for itself, asks and stops: vLLM, SGLang or llama.cpp."""

    kind: Literal["engine"] = Field(default="engine", description="this kind of backend")
    engine: Literal["vllm", "sglang", "llama_cpp", "llama_cpp_python"] = Field(
        description="which server; `llama_cpp` is llama-server, `llama_cpp_python` the one of that Python package"
    )
    model: Name = Field(description="name of one of the study's `local_models` or `backbones`")
    version: str | None = Field(
        default=None,
        description="version of the engine; a job that finds another one ends. The version is always recorded",
    )
    tensor_parallel: int = Field(default=1, ge=1, le=64, description="GPUs that the model is spread over")
    arguments: tuple[str, ...] = Field(
        default=(), description="further arguments of the server's command line, such as [--max-model-len, '8192']"
    )
    gguf_file: PathText | None = Field(
        default=None,
        description="llama.cpp: name of the GGUF file in the model's folder, or in the package it was unpacked from",
    )
    template_options: dict[str, Any] = Field(
        default_factory=dict, description="options of the chat template, such as {enable_thinking: false}"
    )
    label_probabilities: bool = Field(default=True, description="request log-probabilities where labels matter")
    top_logprobs: int = Field(default=20, ge=1, le=1000, description="how many tokens' log-probabilities are requested")

    @property
    def backbone(self) -> str:
        """The model's name, as other local backends call it."""
        return self.model

    @model_validator(mode="after")
    def _of_its_engine(self) -> Self:
        for word in self.arguments:
            name = word.partition("=")[0].replace("_", "-")
            if name in _OWN_ARGUMENTS:
                raise ValueError(f"arguments without {name}, which the job sets itself or never allows")
        if self.engine == "llama_cpp_python" and self.template_options:
            raise ValueError("no template_options with llama_cpp_python, whose server knows none")
        if self.engine in ("vllm", "sglang") and self.gguf_file is not None:
            raise ValueError(f"gguf_file with llama.cpp only, not with {self.engine}")
        return self


_OWN_ARGUMENTS = frozenset(
    {
        *("--host", "--port", "--api-key", "--api-key-file", "--config", "--config-file", "--model", "--model-path"),
        *("-m", "--served-model-name", "--alias", "-a", "--model-alias", "--tensor-parallel-size", "-tp", "--tp"),
        *("--tp-size", "--trust-remote-code"),
    }
)

Backend = Annotated[Causal | Seq2seq | OpenaiEndpoint | Engine, Field(discriminator="kind")]
"""`kind` is also the name of the module in `posologie.backends`, and of each stage's command for it."""

ChatBackend = Annotated[Causal | OpenaiEndpoint | Engine, Field(discriminator="kind")]
"""A backend that follows instructions, as synthesis and judging need."""


class Running(Spec):
    """How a backend is run. Nothing here changes a reply, so it is never part of a stage's spec."""

    mode: Literal["direct", "batch"] = Field(
        default="direct",
        description="endpoints: `batch` hands all requests over as files and collects the replies within a day, at the"
        " price of batches (OpenAI's files and batches)",
    )
    url: str | None = Field(default=None, description="taken from the backend's `url`; leave it out")
    batch_requests: int = Field(default=20000, ge=1, le=50000, description="most requests in one batch")
    batch_price: float = Field(
        default=0.5, ge=0, le=1, description="share of the prices that a request of a batch costs"
    )
    poll_seconds: float = Field(default=30.0, gt=0, description="time between two checks of running batches")
    concurrency: int = Field(default=16, ge=1, le=1024, description="requests to an endpoint at a time, per job")
    timeout_seconds: float = Field(
        default=120.0, gt=0, description="an attempt without a complete reply by then is cut off"
    )
    attempts: int = Field(default=6, ge=1, description="attempts of one request, with back-off between them")
    longest_wait_seconds: float = Field(default=60.0, gt=0, description="longest back-off between two attempts")
    fingerprints: Literal["same", "any"] = Field(
        default="same",
        description="endpoints: a reply of a model or fingerprint that no earlier run had ends the run (`same`),"
        " or is kept and recorded beside the others (`any`)",
    )
    batch_tokens: int = Field(
        default=16384, ge=16, description="local models: tokens in one batch, padding and new tokens included"
    )
    budget_tokens: int | None = Field(
        default=None,
        ge=0,
        description="tokens that all jobs of one work folder may spend; the run stops before it would exceed this",
    )
    budget_money: float | None = Field(
        default=None,
        ge=0,
        description="money that all jobs of one work folder may spend; the run stops before it would exceed this",
    )
    price_prompt: float | None = Field(default=None, ge=0, description="price of a million prompt tokens")
    price_generated: float | None = Field(default=None, ge=0, description="price of a million generated tokens")
    characters_per_token: float = Field(
        default=4.0, gt=0, description="assumed by the plan until replies show the true ratio"
    )
    command: tuple[str, ...] | None = Field(
        default=None,
        description="engines: the command that starts the server, such as [/opt/vllm/bin/vllm, serve]; if left out,"
        " `vllm serve`, `python -m sglang.launch_server`, `llama-server` or `python -m llama_cpp.server`",
    )
    start_seconds: float = Field(default=1800.0, gt=0, description="engines: longest wait until the server is ready")
    compared_items: int = Field(
        default=64,
        ge=0,
        description="engines: items whose label probabilities are also computed by this program's own code,"
        " for the run record; 0 compares none",
    )
    tolerated_failures: float = Field(
        default=0.0, ge=0, le=1, description="share of requests that may fail permanently and be recorded as failed"
    )

    @model_validator(mode="after")
    def _prices_for_a_budget(self) -> Self:
        if self.budget_money is not None and None in (self.price_prompt, self.price_generated):
            raise ValueError("price_prompt and price_generated with budget_money")
        return self

    def money(self, prompt_tokens: int, generated_tokens: int) -> float | None:
        """Return what tokens cost, in the currency of the prices; None without prices."""
        if self.price_prompt is None or self.price_generated is None:
            return None
        share = self.batch_price if self.mode == "batch" else 1.0
        return share * (prompt_tokens * self.price_prompt + generated_tokens * self.price_generated) / 1e6
