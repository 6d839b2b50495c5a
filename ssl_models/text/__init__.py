"""Text encoders: word2vec on the project's own text, TF-IDF with SVD, any sentence-transformers.

Try it::

    encoder = TEXT_ENCODERS["word2vec"]().fit(texts)
    features = encoder.encode(texts)        # (n, d) float32
    encoder.save(Path("encoder"))
    load_text_encoder(Path("encoder")).encode(["a new one"])
"""

from ssl_models.text.encoder import TextEncoder
from ssl_models.text.load import TEXT_ENCODERS, load_text_encoder
from ssl_models.text.sentences import SentenceEncoder
from ssl_models.text.tfidf import TfidfSVD
from ssl_models.text.tokens import words
from ssl_models.text.word2vec import Word2Vec

__all__ = [
    "TEXT_ENCODERS",
    "SentenceEncoder",
    "TextEncoder",
    "TfidfSVD",
    "Word2Vec",
    "load_text_encoder",
    "words",
]
