"""Peer: the LSTM decoder of `tfcap.decoders.lstm_attention` in PyTorch, with a DataLoader.

The same network with the same sizes and dropouts: features normalised -> linear 512 relu; LSTM 512
over embeddings of 256, started from the mean feature; 4-head dot-product attention (PyTorch's fused
one) after the recurrence; its gate; the projection back to 256, tied to the embedding. All captions
of a picture ask its one memory, as ours do; padding is left out before the product with the
vocabulary, as ours is; label smoothing 0.1, gradients clipped at 5, AdamW. Features lie in memory
as one array, captions are padded to the longest of the batch; with --packed the LSTM skips the
padding, as ours does.

Captions a second. The same pictures, captions, vocabulary, feature maps and batches (32 pictures
with all of their captions) as ours. Runs in an environment of its own: PyTorch and NumPy.

Example:
  python tests/bench/torch_training.py --features features.npy --captions captions.json --workers 0
"""

import torch
from shared_captions import Captioned, load, parse_arguments, run_steps
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

UNITS, EMBEDDING, HEADS = 512, 256, 4
DROPOUT, EMBEDDING_DROPOUT, SMOOTHING = 0.5, 0.3, 0.1


class Pictures(Dataset):
    """A picture's features [L, C], and its captions as lists of ids."""

    def __init__(self, shared: Captioned):
        count, channels = shared.features.shape[0], shared.features.shape[-1]
        self.features = torch.from_numpy(shared.features.reshape(count, -1, channels))
        self.captions = [
            [torch.tensor(caption) for caption in captions] for captions in shared.captions
        ]

    def __len__(self):
        return len(self.features)

    def __getitem__(self, index):
        return self.features[index], self.captions[index]


def collate(rows: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features [B, L, C] and ids [B, K, T + 1], padded."""
    texts = [caption for _, captions in rows for caption in captions]
    padded = nn.utils.rnn.pad_sequence(texts, batch_first=True)
    features = torch.stack([features for features, _ in rows])
    return features, padded.view(len(rows), -1, padded.shape[-1])


class LSTMAttention(nn.Module):
    """(features [B, L, C], ids [B, K, T]) to outputs [B, K, T, E]; see the module."""

    def __init__(self, channels: int, words: int, packed: bool):
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(words, EMBEDDING)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING**-0.5)
        self.norm, self.memory = nn.LayerNorm(channels), nn.Linear(channels, UNITS)
        self.initial_h, self.initial_c = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, UNITS)
        self.query, self.key = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, UNITS)
        self.value, self.gate = nn.Linear(UNITS, UNITS), nn.Linear(UNITS, UNITS)
        self.lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.projection = nn.Linear(2 * UNITS, EMBEDDING)
        self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, features, ids):
        rows, captions, length = ids.shape
        memory = functional.dropout(self.memory(self.norm(features)).relu(), DROPOUT)
        mean = memory.mean(1)
        start = [
            initial(mean).tanh().repeat_interleave(captions, 0)[None]
            for initial in (self.initial_h, self.initial_c)
        ]
        vectors = functional.dropout(self.embedding(ids.flatten(0, 1)), EMBEDDING_DROPOUT)
        hidden = self._recurrence(vectors, tuple(start), ids.flatten(0, 1))
        hidden = hidden.reshape(rows, captions * length, UNITS)
        query, key, value = (
            tensor.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for tensor in (self.query(hidden), self.key(memory), self.value(memory))
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        seen = self.gate(hidden).sigmoid() * seen.transpose(1, 2).flatten(2)
        mixed = functional.dropout(torch.cat([hidden, seen], -1), DROPOUT)
        return self.projection(mixed).view(rows, captions, length, EMBEDDING)

    def _recurrence(self, vectors, start, ids):
        if not self.packed:
            return self.lstm(vectors, start)[0]
        lengths = (ids != 0).sum(-1)
        packed = nn.utils.rnn.pack_padded_sequence(
            vectors, lengths, batch_first=True, enforce_sorted=False
        )
        hidden, _ = self.lstm(packed, start)
        length = ids.shape[1]
        return nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True, total_length=length)[0]

    def logits(self, outputs):
        """Return logits [..., V] of outputs [..., E]."""
        return functional.linear(outputs, self.embedding.weight, self.bias)


def main() -> None:
    parser = parse_arguments(__doc__)
    parser.add_argument("--workers", type=int, default=0, help="of the DataLoader")
    parser.add_argument("--packed", action="store_true", help="the LSTM skips the padding")
    arguments = parser.parse_args()
    shared = load(arguments)
    model = LSTMAttention(shared.features.shape[-1], shared.words, arguments.packed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    loader = DataLoader(
        Pictures(shared),
        arguments.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=arguments.workers,
        collate_fn=collate,
        persistent_workers=arguments.workers > 0,
    )

    def steps():
        while True:
            for features, ids in loader:
                outputs = model(features, ids[..., :-1])
                targets = ids[..., 1:]
                counts = targets != 0
                logits = model.logits(outputs[counts])
                loss = functional.cross_entropy(logits, targets[counts], label_smoothing=SMOOTHING)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                yield ids.shape[0] * ids.shape[1]

    watch = run_steps(steps().__next__, arguments.seconds)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    watch.report(parameters=parameters, torch=torch.__version__, threads=torch.get_num_threads())


if __name__ == "__main__":
    main()
