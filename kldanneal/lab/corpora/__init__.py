"""Text as tensors: one interface to the toy language, docstrings, Penn Treebank, and a text file. No model is in here.

    corpus = load_corpus("toy")
    corpus.train, corpus.valid, corpus.test      Sentences: token ids and lengths
    corpus.vocab.itos, corpus.vocab.stoi         torchtext's Vocab
    print(corpus.describe())                     sizes, sources and a digest: the same digest is the same corpus

Tokens come from torchtext: its ``basic_english`` tokenizer, its ``Vocab``, its ``PennTreebank``.
"""
